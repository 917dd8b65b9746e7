"""What stands before the value in an answer: ``x = 5``, ``f(x) = 2x``, ``x \\in [0, 1]``."""

from __future__ import annotations

from evalsuite.verifiers.math.syntax import Apply, Name, Node, Number, Relation, Sequence, Words

__all__ = ["is_function", "is_label", "is_named", "labelled", "members"]

_FUNCTION_LETTERS = "fghpqFGHPQ"


def members(node: Node) -> Node:
    """Return the set in ``x \\in set``."""
    match node:
        case Relation(signs=("in",), items=(label, inner)) if is_label(label):
            return inner
        case _:
            return node


def labelled(items: Sequence) -> list[tuple[str, Node]]:
    """Return the values of a list with their labels, ``""`` for those that have none; nothing if some are relations."""
    pairs: list[tuple[str, Node]] = []
    for item in items.items:
        match item:
            case Relation(signs=("=",), items=(Name() as label, value) | (value, Name() as label)):
                pairs.append((label.text, value))
            case Relation(signs=("=",), items=(label, value)) if is_label(label):
                pairs.append((repr(label), value))
            case Relation():
                return []
            case _:
                pairs.append(("", item))
    return pairs


def is_function(node: Node) -> bool:
    """Return whether a node is a function of a variable, ``f(x)`` or ``f^{-1}(x)``."""
    match node:
        case Apply(head="*", args=(Name(text=name) | Apply("^", (Name(text=name), Apply("neg", _))), Name())):
            return name[0] in _FUNCTION_LETTERS
        case _:
            return False


def is_named(node: Node) -> bool:
    """Return whether a node says what an answer is the value of: a label, or a sum or power of labels."""
    match node:
        case Apply(head="+", args=terms):
            return all(map(is_named, terms))
        case Apply(head="^", args=(base, Number())):
            return is_label(base)
        case _:
            return is_label(node)


def is_label(node: Node) -> bool:
    """Return whether a node is the name of a value: a variable, a word, ``(x, y)``, ``f(2)``, ``|AB|``."""
    match node:
        case Name() | Words():
            return True
        case Apply(head="*", args=(Apply(head="^", args=(Name(), Apply(head="neg"))), Name())):  # an inverse function
            return True
        case Sequence(kind="()" | ":", items=parts) | Apply(head="/" | "abs", args=parts):
            return all(map(is_label, parts))
        case Apply(head="*", args=(Name(), Name() | Number() | Sequence())):
            return True
        case Apply(head="*", args=(left, Name())):
            return is_label(left)
        case _:
            return False
