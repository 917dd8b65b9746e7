"""Plain sentences for made-up right answers: the first sentence of the Universal Declaration of Human Rights.

One per language of IFEval that langdetect knows, without commas where the language allows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ENGLISH", "PHRASES"]

#: A stream of common English words, without a comma or a full stop.
ENGLISH = (
    "the river runs past the old town and people walk along the bank every morning when the light is soft "
    "they talk about their work and about the weather while children play near the bridge with a small dog "
    "some of them stop to look at boats that carry wood and stone down to the sea others sit on benches in "
    "the shade of tall trees and read until the bells of the church ring at noon then shops open again and "
    "the smell of warm bread fills the street so that nobody wants to go home before evening comes"
)

PHRASES: Mapping[str, str] = MappingProxyType(
    {
        "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق",
        "bg": "Всички хора се раждат свободни и равни по достойнство и права",
        "bn": "সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে",
        "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren",
        "en": ENGLISH,
        "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos",
        "fa": "تمام افراد بشر آزاد به دنیا می‌آیند و از لحاظ حیثیت و حقوق با هم برابرند",
        "fi": "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan",
        "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits",
        "gu": "પ્રતિષ્ઠા અને અધિકારોની દૃષ્ટિએ સર્વ માનવો જન્મથી સ્વતંત્ર અને સમાન હોય છે",
        "he": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם",
        "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है",
        "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti",
        "ja": "すべての人間は生まれながらにして自由でありかつ尊厳と権利とについて平等である",
        "kn": "ಎಲ್ಲಾ ಮಾನವರೂ ಸ್ವತಂತ್ರರಾಗಿಯೇ ಜನಿಸಿದ್ದಾರೆ ಹಾಗೂ ಘನತೆ ಮತ್ತು ಹಕ್ಕುಗಳಲ್ಲಿ ಸಮಾನರಾಗಿದ್ದಾರೆ",
        "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다",
        "ml": "മനുഷ്യരെല്ലാവരും തുല്യാവകാശങ്ങളോടും അന്തസ്സോടും സ്വാതന്ത്ര്യത്തോടുംകൂടി ജനിച്ചവരാണ്",
        "mr": "सर्व मानवी व्यक्ति जन्मतः स्वतंत्र आहेत व त्यांना समान प्रतिष्ठा व समान अधिकार आहेत",
        "ne": "सबै व्यक्तिहरू जन्मजात स्वतन्त्र हुन् र ती सबैको समान अधिकार र महत्व छ",
        "pa": "ਸਾਰਾ ਮਨੁੱਖੀ ਪਰਿਵਾਰ ਆਪਣੀ ਮਹਿਮਾ ਅਤੇ ਹੱਕਾਂ ਦੇ ਪੱਖੋਂ ਜਨਮ ਤੋਂ ਹੀ ਆਜ਼ਾਦ ਹੈ",
        "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw",
        "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos",
        "ru": "Все люди рождаются свободными и равными в своём достоинстве и правах",
        "sw": "Watu wote wamezaliwa huru na hadhi na haki zao ni sawa",
        "ta": "மனிதப் பிறவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர் அவர்கள் மதிப்பிலும் உரிமைகளிலும் சமமானவர்கள்",
        "te": "ప్రతిపత్తిస్వత్వముల విషయమున మానవులెల్లరును జన్మతః స్వతంత్రులును సమానులును నగుదురు",
        "th": "มนุษย์ทั้งปวงเกิดมามีอิสระและเสมอภาคกันในศักดิ์ศรีและสิทธิ",
        "uk": "Всі люди народжуються вільними і рівними у своїй гідності та правах",
        "ur": "تمام انسان آزاد اور حقوق و عزت کے اعتبار سے برابر پیدا ہوئے ہیں",
        "vi": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi",
    }
)
