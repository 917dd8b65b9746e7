"""Words that may stand beside a number: units, number words, and words that change what it says."""

from __future__ import annotations

import re
from types import MappingProxyType

__all__ = ["NUMBER_WORDS", "SCALES", "canonical_unit", "is_plain_description"]

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
        "mi/h": "mph",
        "km/h": "kmh kph",
        "N": "newton",
        "J": "joule",
        "V": "volt",
        "W": "watt",
        "Hz": "hertz",
        "mol": "mole",
        "celsius": "",
        "fahrenheit": "",
        "degree": "deg",
        "radian": "rad",
        "dollar": "usd",
        "cent": "",
        "euro": "",
        "am": "",
        "pm": "",
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
    "letter per each of total units old different distinct possible unique ratio"
)
_COUNTED = frozenset(_COUNTED_WORDS.split())
_TELLING_WORDS = (
    "or and not no non never maybe perhaps possibly probably approximately about around roughly nearly almost over "
    "under between to from either neither nor unknown undefined hundred thousand million billion trillion dozen score "
    "half halves third thirds quarter quarters percent percentage times plus minus negative squared cubed if else "
    "otherwise wrong incorrect false least most than more less greater fewer any all none zero one two three four "
    "five six seven eight nine ten twenty thirty forty fifty mod modulo base infinity guess is isn't k b bn mn "
    "lakh crore gross myriad kilo mega giga just kidding joke"
)
_TELLING = frozenset(_TELLING_WORDS.split())

_SMALL_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)

_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"


def _number_words() -> dict[str, int]:
    words = _SMALL_NUMBERS.split()
    table = {word: value for value, word in enumerate(words)}
    for ten, word in enumerate(_TENS.split(), 2):
        table[word] = 10 * ten
        for unit in range(1, 10):
            table[f"{word}-{words[unit]}"] = table[f"{word}{words[unit]}"] = 10 * ten + unit
    return table


#: Words that scale the number before them.
SCALES = MappingProxyType(
    {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
)
#: English words for the numbers below a hundred.
NUMBER_WORDS = MappingProxyType(_number_words())


def _spellings() -> dict[str, str]:
    table: dict[str, str] = {}
    for unit, names in _UNITS.items():
        for name in (unit, *names.split()):
            for spelling in (name, f"{name}s", f"{name}es"):
                table.setdefault(spelling, unit)
    return table


_CANONICAL = MappingProxyType(_spellings())
_CLOCK = re.compile(r"\b([AaPp])\. ?([Mm])\b")
_PER = re.compile(r"\s*/\s*|\s+per\s+")


def canonical_unit(words: str) -> str | None:
    """Return one spelling of a known unit (``"square centimeters"`` → ``"square cm"``), else ``None``."""
    units = [_canonical(part) for part in _PER.split(words.strip())]
    return "/".join(unit for unit in units if unit) if all(units) else None


def _canonical(words: str) -> str | None:
    """Return one spelling of a unit that is no rate; a single letter means what it does in its own case."""
    parts = _CLOCK.sub(r"\1\2", words).replace(".", " ").split()
    found = [_CANONICAL.get(part) or (_CANONICAL.get(part.lower()) if len(part) > 1 else None) for part in parts]
    if len(found) == 2 and found[0] == "degree" and found[1] in ("celsius", "fahrenheit"):
        return found[1]
    return " ".join(part for part in found if part) if found and all(found) else None


def is_plain_description(words: str, *, known_only: bool) -> bool:
    """Return whether ``words`` after a number only say what is counted, and so do not change the answer.

    At most four words, none of which hedges, negates, adds an alternative or scales. With ``known_only`` they must be
    common units or counted things.
    """
    if words.strip() == "M":  # a million
        return False
    parts = words.lower().replace(".", " ").replace(",", " ").split()
    if not 0 < len(parts) <= 4 or any(_is_telling(part) or not part.isalpha() for part in parts):
        return False
    return not known_only or all(
        part in _CANONICAL or part in _COUNTED or part.removesuffix("s") in _COUNTED for part in parts
    )


def _is_telling(word: str) -> bool:
    return word in _TELLING or word.removesuffix("s") in _TELLING
