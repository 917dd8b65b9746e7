"""Verifiable instructions: the 25 constraint types of IFEval and the 58 of IFBench."""

from evalsuite.verifiers.instructions.verifier import Instructions

__all__ = ["Instructions"]
