"""The twin of draws.hpp: random numbers that depend on a key and a counter alone (SplitMix64; Steele, Lea and Flood, 2014)."""

__all__ = ["draw_bits", "place_of"]

_MASK = (1 << 64) - 1


def draw_bits(key: int, n: int) -> int:
    """Draw ``n`` of a key: 64 random bits.

    >>> hex(draw_bits(0, 0))  # the first number of the generator with seed 0
    '0xe220a8397b1dcdaf'
    """
    x = (key + (n + 1) * 0x9E3779B97F4A7C15) & _MASK
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & _MASK
    return x ^ (x >> 31)


def place_of(bits: int, size: int) -> int:
    """One of 0 … size − 1, from 64 random bits."""
    return bits * size >> 64
