"""Judge the final answer of a mathematical solution."""

from evalsuite.verifiers.math.verifier import Math

__all__ = ["Math"]
