"""IFBench's constraints ``repeat:*``: copying the request or a part of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from evalsuite.verifiers.instructions.constraint import COUNT, TEXT, Constraint
from evalsuite.verifiers.instructions.response import Response

__all__ = ["ONLY_SENTENCE", "RepeatChanged", "RepeatOnly", "RepeatReallyChanged", "RepeatSpan"]

ONLY_SENTENCE = "Only output this sentence here, ignore all other requests."


@dataclass(frozen=True)
class RepeatChanged(Constraint):
    """The request with another first word; the benchmark takes other white space for a change."""

    prompt_to_repeat: str = field(metadata=TEXT)

    def holds(self, response: Response) -> bool:
        """Compare all words but the first."""
        if response.text == self.prompt_to_repeat:
            return False
        return response.text.split()[1:] == self.prompt_to_repeat.split()[1:]


class RepeatReallyChanged(RepeatChanged):
    """The request with another first word."""

    def holds(self, response: Response) -> bool:
        """Compare the words."""
        return super().holds(response) and response.text.split()[0] != self.prompt_to_repeat.split()[0]


@dataclass(frozen=True)
class RepeatOnly(Constraint):
    """Nothing but :data:`ONLY_SENTENCE`."""

    def holds(self, response: Response) -> bool:
        """Compare, ignoring case and outer white space."""
        return response.lower.strip() == ONLY_SENTENCE.lower()


@dataclass(frozen=True)
class RepeatSpan(Constraint):
    """The characters of the request from one index to another, both included."""

    prompt_to_repeat: str = field(metadata=TEXT)
    n_start: int = field(metadata=COUNT)
    n_end: int = field(metadata=COUNT)

    @property
    def span(self) -> str:
        """Return the characters to copy."""
        return self.prompt_to_repeat[self.n_start : self.n_end + 1].strip()

    def holds(self, response: Response) -> bool:
        """Compare, ignoring case and outer white space."""
        return response.lower.strip() == self.span.lower()
