"""Words that may stand beside a number: units, number words, and words that change what it says."""

from __future__ import annotations

from types import MappingProxyType

__all__ = ["NUMBER_WORDS", "canonical_unit", "is_plain_description"]

_UNITS = MappingProxyType(
    {
        "mm": "millimeter millimetre",
        "cm": "centimeter centimetre",
        "m": "meter metre",
        "km": "kilometer kilometre",
        "in": "inch",
        "ft": "foot feet",
        "yd": "yard",
        "mi": "mile",
        "mg": "milligram",
        "g": "gram gm gr",
        "kg": "kilogram",
        "lb": "pound",
        "oz": "ounce",
        "ton": "tonne",
        "ml": "milliliter millilitre mL",
        "l": "liter litre L",
        "gal": "gallon",
        "s": "second sec",
        "min": "minute",
        "h": "hour hr",
        "day": "",
        "week": "",
        "month": "",
        "year": "yr",
        "mph": "miles/hour",
        "degree": "deg",
        "radian": "rad",
        "dollar": "usd",
        "cent": "",
        "euro": "",
        "percent": "percentage pct",
        "unit": "",
        "point": "",
        "square": "sq",
        "cubic": "cu",
    }
)
_COUNTED_WORDS = (
    "student people person child children adult ticket way digit meal apple orange egg book page car ball coin marble "
    "card box boxes game problem question number integer value solution term factor prime divisor pair triangle face "
    "edge vertex vertices side diagonal subset element permutation arrangement committee team player member boy girl "
    "man men woman women dog cat bird fish animal flower tree seed block tile cube brick foot-pound mile kilowatt "
    "pencil pen candy candies cookie cake pizza slice piece bag bottle can cup glass gallon quart pint trip step turn "
    "round revolution rotation flip roll inch inches feet hour minute second day week month year dollar cent word "
    "letter per each of total units"
)
_COUNTED = frozenset(_COUNTED_WORDS.split())
_TELLING_WORDS = (
    "or and not no non never maybe perhaps possibly probably approximately about around roughly nearly almost over "
    "under between to from either neither nor unknown undefined hundred thousand million billion trillion dozen score "
    "half halves third thirds quarter quarters percent percentage times plus minus negative squared cubed if else "
    "otherwise wrong incorrect false least most than more less greater fewer any all none zero one two three four "
    "five six seven eight nine ten twenty thirty forty fifty mod modulo base infinity guess is isn't"
)
_TELLING = frozenset(_TELLING_WORDS.split())

_SMALL_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)

#: English words for small numbers.
NUMBER_WORDS = MappingProxyType({word: value for value, word in enumerate(_SMALL_NUMBERS.split())})


def _spellings() -> dict[str, str]:
    table: dict[str, str] = {}
    for unit, names in _UNITS.items():
        for name in (unit, *names.split()):
            for spelling in (name, f"{name}s", f"{name}es"):
                table.setdefault(spelling, unit)
    return table


_CANONICAL = MappingProxyType(_spellings())


def canonical_unit(words: str) -> str | None:
    """Return one spelling of a known unit (``"square centimeters"`` → ``"square cm"``), else ``None``."""
    parts = [_CANONICAL.get(word) or _CANONICAL.get(word.lower()) for word in words.replace(".", " ").split()]
    return " ".join(part for part in parts if part) if parts and all(parts) else None


def is_plain_description(words: str, *, known_only: bool) -> bool:
    """Return whether ``words`` after a number only say what is counted, and so do not change the answer.

    At most four words, none of which hedges, negates, adds an alternative or scales. With ``known_only`` they must be
    common units or counted things.
    """
    parts = words.lower().replace(".", " ").replace(",", " ").split()
    if not 0 < len(parts) <= 4 or any(part in _TELLING or not part.isalpha() for part in parts):
        return False
    return not known_only or all(
        part in _CANONICAL or part in _COUNTED or part.removesuffix("s") in _COUNTED for part in parts
    )
