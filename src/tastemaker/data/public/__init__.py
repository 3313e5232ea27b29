"""Public data sets by name: found or downloaded, checked, parsed. The door is :mod:`tastemaker.datasets`."""
