"""Neural recommenders: trained by torch (the extra ``neural``), answered by NumPy and the kernels of this package.

A model imports torch when it is fitted; a saved one loads and answers without it. ``training``, ``losses``, ``negatives``,
``optimizers`` and ``networks`` are what a fit is made of and need torch; ``layers`` is how a fitted model computes and does not.
"""
