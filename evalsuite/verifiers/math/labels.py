"""What stands before the value in an answer: ``x = 5``, ``f(x) = 2x``, ``x \\in [0, 1]``."""

from __future__ import annotations

from evalsuite.verifiers.math.syntax import Apply, Name, Node, Number, Relation, Sequence, Words

__all__ = ["UNORDERED", "as_list", "is_function", "is_label", "is_named", "members"]

#: Kinds of sequences whose items have no order.
UNORDERED = frozenset((",", "{}"))

_FUNCTION_LETTERS = "fghpqFGHPQ"


def members(node: Node) -> Node:
    """Return the set in ``x \\in set``."""
    match node:
        case Relation(signs=("in",), items=(label, inner)) if is_label(label):
            return inner
        case _:
            return node


def as_list(node: Node, other: Node) -> Node:
    """Return a list without its labels, and a union of finite sets as one set."""
    match node:
        case Sequence(kind="U", items=sets) if all(isinstance(part, Sequence) and part.kind == "{}" for part in sets):
            items = (item for part in sets if isinstance(part, Sequence) for item in part.items)
            return Sequence("{}", tuple(dict.fromkeys(items)))
        case Sequence(kind=","):
            return _without_labels(node, other)
        case _:
            return node


def _without_labels(node: Sequence, other: Node) -> Sequence:
    """Return ``1, 2`` for ``x = 1, x = 2`` and ``x = 1, 2``, and ``(1, 2)`` for ``x = 1, y = 2`` in any order.

    Beside a list without names their order is the one in which they are given, else that of the names: ``4, 5`` is
    ``a = 4, b = 5`` and ``c = 4, b = 5``, and ``(4, 5)`` is ``y = 5, x = 4``.
    """
    pairs = _labelled(node)
    names = {name for name, _ in pairs if name}
    listed = isinstance(other, Sequence) and other.kind in UNORDERED
    if not names:
        others = _labelled(other) if isinstance(other, Sequence) and other.kind == "," else []
        return Sequence("()", node.items) if _name_each(others) and not _are_numbered(others) else node
    if _name_each(pairs) and not (listed and _are_numbered(pairs)):
        unnamed = listed and isinstance(other, Sequence) and not any(name for name, _ in _labelled(other))
        ordered = pairs if unnamed else sorted(pairs, key=lambda pair: pair[0])
        return Sequence("()", tuple(value for _, value in ordered))
    same = len(names) == 1 or (listed and _are_numbered(pairs))
    return Sequence(",", tuple(value for _, value in pairs)) if same else node


def _name_each(pairs: list[tuple[str, Node]]) -> bool:
    """Return whether every value of a list has a name of its own."""
    names = {name for name, _ in pairs}
    return len(names) == len(pairs) > 0 and "" not in names


def _are_numbered(pairs: list[tuple[str, Node]]) -> bool:
    """Return whether all names are those of one variable, ``x_1`` and ``x_2``."""
    return len({name.partition("_")[0] for name, _ in pairs if name}) == 1


def _labelled(items: Sequence) -> list[tuple[str, Node]]:
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
