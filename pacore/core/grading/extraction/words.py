"""Words of statements of an answer, in 29 languages: a table with one `Language` each.

A row has the words for *answer*, the words between such a word and its value, and the words that deny,
hedge or correct a statement. `pacore.core.grading.extraction.patterns` makes regular expressions of them.
"""

from __future__ import annotations

# ruff: noqa: RUF001 - characters of other scripts are what this file is about
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """Words of one language, separated by ``|``; a final ``*`` matches any ending.

    Attributes:
        answers: nouns for *answer* itself.
        links: words that join such a noun to its value: copulas, and verbs such as *equals*.
        fillers: articles, adjectives and adverbs that may be next to a link or before the noun.
        right: adjectives that call a value right.
        negators: words that deny a statement.
        hedges: words that make a value only possible.
        suppositions: words before the noun that make its clause a condition, a question or a doubt.
        alternatives: *or*, between two values.
        lists: *and*, between two values.
        conclusions: words that begin a concluding sentence, totals included.
        options: nouns for an option of a multiple choice.
        choices: verbs for choosing an option.
        corrections: words that withdraw the statement before them.
        bounds: words beside a value that make it a bound of the answer, or an end of a range.
        has_final_verb: the copula follows the value, so that the value may follow the noun directly.
    """

    answers: str
    links: str = ""
    fillers: str = ""
    right: str = ""
    negators: str = ""
    hedges: str = ""
    suppositions: str = ""
    alternatives: str = ""
    lists: str = ""
    conclusions: str = ""
    options: str = ""
    choices: str = ""
    corrections: str = ""
    bounds: str = ""
    has_final_verb: bool = False


LANGUAGES: dict[str, Language] = {
    "en": Language(
        answers="answer|answers|ans",
        links="is|'s|’s|are|was|being|would be|will be|should be|must be|has to be|comes to|comes out to"
        "|comes out as|come out as|equals|equal to|becomes|remains|stands at|works out to|works out as"
        "|turns out to be",
        fillers="the|a|an|our|my|your|its|final|correct|right|best|true|actual|single|revised|corrected"
        "|overall|full|exact|simplified|numerical|numeric|therefore|thus|hence|then|so|also|indeed|still"
        "|simply|just|only|exactly|precisely|about|approximately|approx|roughly|around|clearly|now"
        "|actually|definitely|option|choice|letter|number|value|given by|as|be|in total|total|a total of"
        "|that|it",
        right="correct|right|true|the best|the one",
        negators="not|n't|n’t|never|neither|nor|cannot|rejected|ruled out|discarded|incorrect"
        "|wrong|false|no longer|isn|rather than"
        "|instead of|mistaken|inaccurate|invalid|other than|different from",
        hedges="might|may|could|maybe|perhaps|possibly|either|unsure|uncertain|not sure|unclear"
        "|cannot decide|can't decide|don't know|do not know",
        suppositions="refuse to believe"
        "|false that|untrue that|no way|impossible that|not true that|wrong that"
        "|if|whether|suppose|supposing|assume|assumes|assuming|imagine|unless"
        "|perhaps|maybe|possibly|doubt|unsure|uncertain|not sure|unclear",
        alternatives="or|and/or|or maybe|or perhaps|or possibly|or else|or even",
        lists="and|as well as",
        conclusions="so|therefore|thus|hence|consequently|accordingly|finally|in total|altogether|in all"
        "|in conclusion|in summary|to summarize|overall|as a result|it follows that|this means|that means"
        "|which means|we conclude|we get|this gives|which gives|this leaves|leaving|total"
        "|result:|result is|final:|output:|ergo|to sum up|solution:|solution is|we obtain",
        options="option|choice|letter|alternative|statement",
        choices="choose|chose|select|selected|pick|picked|go with|going with|opt for|is left|leaves us with"
        "|leaves only|leaves|leaving",
        corrections="wait|correction|oops|sorry|scratch that|actually|hmm|hold on|let me correct|i meant"
        "|update|edit|my mistake|i made a mistake|i made an error|on second thought|apologies|corrected",
    ),
    "zh": Language(
        answers="答案|正解|答|答复|结果|結果",
        links="是|(?<![认以因])为|(?<![認以因])為|应为|應為|应该是|應該是|就是|等于|等於|选|選|应选|應選|为：|即",
        fillers="最终|最終|最后|正确|正確|的|应|應|该|該|选项|選項|约|約|大约|也|就|所以|因此|仍然|仍",
        right="正确|正確|对(?![于應应比])|對的|对的|正确的|正確的|正确答案|正確答案",
        negators="不(?![变變同妨过過仅僅但断斷久等定难難失])|不等于|不等於|并非|並非|非|而不是|错|錯|没有|沒有|别选|別選|排除",
        hedges="可能|也许|也許|或许|或許|大概|不确定|不確定|要么|要麼|如果|假如",
        suppositions="不认为|不認為|不觉得|如果|假如|假设|假設|若|是否|也许|也許|可能|或许|或許|怀疑|不确定|要是",
        alternatives="或|或者|还是|還是|要么|要麼",
        lists="和|与|與|及|以及",
        conclusions="所以|因此|故|综上|綜上|总共|總共|一共|共|由此|于是|於是|得|得到|可得|总之|总计|合计",
        options="选项|選項|项|項",
        choices="选|選|选择|選擇|应选|應選|故选|故選",
        corrections="更正|不对|不對|等等|等一下|修正|纠正|我错了",
        bounds="至少|最少|最多|至多|超过|超過|大于|大於|小于|小於|多于|多於|少于|少於|高于|低于|接近|将近|不足|不到"
        "|介于|介於|以上|以下|以内|以內|左右|之间|之間|至|到|多(?!于|於)",
    ),
    "ja": Language(
        answers="答え|答|解答|正解|回答|解",
        links="は|が|とは|＝",
        fillers="最終的な|最終|正しい|の|として|約|よって|選択肢|したがって",
        right="正解|正しい|が正しい",
        negators="ではありません|ではなく|でなく|ではない|でありません|でない|じゃない|じゃありません|違い|違う|誤り|間違い",
        hedges="かもしれ|思いません|思わない|たぶん|おそらく|でしょうか|もし|可能性|どちらか",
        suppositions="もし|仮に|おそらく|たぶん",
        alternatives="または|もしくは|あるいは|か",
        lists="と|および|及び",
        conclusions="したがって|従って|よって|ゆえに|故に|つまり|以上より|合計|全部で|すなわち|だから",
        options="選択肢",
        choices="選び|選択",
        corrections="訂正|いや|待って|すみません|間違えました",
        bounds="以上|以下|未満|以内|超|より|から|少なくとも|最大でも|せいぜい|前後",
        has_final_verb=True,
    ),
    "ko": Language(
        answers="정답|답|답변|해답",
        links="은|는|이|가",
        fillers="최종|최종적인|올바른|따라서|약|결국|그래서|바로|선택지",
        right="정답|맞|옳",
        negators="아닙니다|아니다|아니|아님|않|틀|오답",
        hedges="생각하지 않|수 있|수도|아마|일지도|것 같|확실하지|만약",
        suppositions="만약|만일|아마|가령",
        alternatives="또는|혹은|이나|아니면",
        lists="와|과|및|그리고",
        conclusions="따라서|그러므로|그래서|결국|즉|총|모두|합계|결론적으로",
        options="선택지|보기",
        choices="선택|고르",
        corrections="정정|아니요|잠깐|수정",
        bounds="이상|이하|미만|초과|이내|보다|부터|적어도|최소한|최대|안팎",
        has_final_verb=True,
    ),
    "fr": Language(
        answers="réponse|réponses|reponse|reponses",
        links="est|sont|vaut|serait|sera|était|égale|est donc|devient",
        fillers="la|le|les|l'|l’|finale|final|correcte|exacte|bonne|juste|définitive|donc|alors|ainsi|bien"
        "|de|d'|environ|exactement|égale à|à|option|choix|lettre|cette|notre|un total de|au total"
        "|simplement",
        right="correcte?|exacte?|juste|bonne|la bonne",
        negators="pas|n'est|n’est|ne|jamais|non|ni|incorrecte?|fausse?|faux|erronée?|plutôt que",
        hedges="peut-être|pourrait|pourraient|soit|peut être|éventuellement|pas sûr",
        suppositions="si|supposons|supposez|supposant|peut-être|admettons|doute",
        alternatives="ou|ou bien|ou peut-être",
        lists="et",
        conclusions="donc|ainsi|par conséquent|alors|en conclusion|finalement|au total|en tout|d'où"
        "|on obtient"
        "|on trouve|par suite|en somme|enfin",
        options="option|choix|alternative|proposition",
        choices="choisis|choisir|choisit|sélectionne",
        corrections="correction|attendez|non|pardon|erratum|en fait|je corrige",
    ),
    "de": Language(
        answers="antwort|antworten|endergebnis",
        links="ist|lautet|sind|beträgt|wäre|wird|heißt|ergibt|entspricht",
        fillers="die|das|der|eine|richtige|korrekte|endgültige|finale|gesuchte|beste|also|somit|daher"
        "|demnach"
        "|damit|folglich|genau|etwa|ungefähr|rund|insgesamt|dann|gleich|option|buchstabe|auswahl|unsere"
        "|meine",
        right="richtig|korrekt|die richtige|wahr",
        negators="nicht|kein*|nie|niemals|weder|noch|falsch*|inkorrekt|statt|anstatt|sondern",
        hedges="vielleicht|könnte|könnten|möglicherweise|eventuell|entweder|unsicher",
        suppositions="wenn|falls|ob|angenommen|vielleicht|möglicherweise|bezweifle|unsicher",
        alternatives="oder|beziehungsweise|bzw",
        lists="und|sowie",
        conclusions="daher|somit|folglich|deshalb|demnach|insgesamt|damit|schließlich|zusammen|ergibt sich"
        "|daraus folgt|also gilt|zusammengefasst|mithin",
        options="option|auswahl|möglichkeit|antwortmöglichkeit",
        choices="wähle|wählen|nehme",
        corrections="korrektur|moment|nein|stopp|entschuldigung|berichtigung|halt",
    ),
    "es": Language(
        answers="respuesta|respuestas|rpta|resp",
        links="es|son|sería|será|era|equivale a|resulta|queda",
        fillers="la|el|las|los|final|correcta|correcto|exacta|definitiva|verdadera|por tanto"
        "|por lo tanto|entonces"
        "|así|pues|opción|alternativa|letra|inciso|igual a|exactamente|aproximadamente|de|un total de"
        "|en total"
        "|simplemente|nuestra|a",
        right="correct[ao]|la correcta|el correcto|verdader[ao]",
        negators="no|nunca|ni|tampoco|incorrect[ao]s?|fals[ao]|erróne[ao]|errad[ao]|en lugar de|en vez de",
        hedges="quizás?|tal vez|podría|podrían|puede que|puede ser|posiblemente|acaso|no estoy segur[ao]",
        suppositions="si|supongamos|suponiendo|quizás?|tal vez|acaso|dudo|posiblemente",
        alternatives="o|u|o bien|o quizás",
        lists="y|e|así como",
        conclusions="por lo tanto|por tanto|entonces|así que|así|en total|en conclusión|finalmente"
        "|por consiguiente"
        "|luego|de modo que|se obtiene|obtenemos|en resumen|resultado",
        options="opción|alternativa|inciso|letra",
        choices="elijo|elegimos|selecciono|escojo|marcar",
        corrections="corrección|espera|perdón|no|en realidad|rectifico|disculpa",
    ),
    "pt": Language(
        answers="resposta|respostas|gabarito|resp",
        links="é|são|seria|será|era|equivale a|fica|e",
        fillers="a|o|as|os|final|correta|correto|certa|exata|definitiva|portanto|então|assim|logo"
        "|alternativa|opção"
        "|letra|igual a|exatamente|aproximadamente|de|um total de|no total|simplesmente|nossa",
        right="corret[ao]|cert[ao]|verdadeir[ao]",
        negators="não|nao|nunca|nem|tampouco|incorret[ao]s?|errad[ao]s?|fals[ao]|em vez de",
        hedges="talvez|poderia|poderiam|pode ser|possivelmente|quem sabe",
        suppositions="se|suponha|suponhamos|supondo|talvez|duvido|possivelmente",
        alternatives="ou|ou então|ou talvez",
        lists="e|bem como",
        conclusions="portanto|logo|assim|então|em conclusão|finalmente|no total|ao todo|por conseguinte"
        "|dessa forma"
        "|desse modo|obtemos|resultado|concluímos",
        options="alternativa|opção|letra|item",
        choices="escolho|escolhemos|seleciono|marcar",
        corrections="correção|espera|espere|desculpe|não|na verdade|corrigindo",
    ),
    "it": Language(
        answers="risposta|risposte",
        links="è|sono|sarebbe|sarà|era|equivale a|risulta|vale",
        fillers="la|il|le|i|l'|l’|finale|corretta|corretto|giusta|esatta|definitiva|quindi|dunque"
        "|perciò|allora|opzione"
        "|alternativa|lettera|pari a|uguale a|esattamente|circa|un totale di|in totale|semplicemente"
        "|nostra",
        right="corrett[ao]|giust[ao]|esatt[ao]",
        negators="non|mai|né|neppure|errat[ao]|sbagliat[ao]|fals[ao]|invece di|anziché",
        hedges="forse|potrebbe|potrebbero|magari|può darsi|probabilmente o",
        suppositions="se|supponiamo|supponendo|forse|magari|dubito",
        alternatives="o|oppure|o forse|ovvero",
        lists="e|ed|nonché",
        conclusions="quindi|dunque|pertanto|perciò|in conclusione|infine|in totale|allora"
        "|di conseguenza|in tutto"
        "|otteniamo|si ottiene|risultato",
        options="opzione|alternativa|lettera",
        choices="scelgo|scegliamo|seleziono",
        corrections="correzione|aspetta|scusa|scusate|no|anzi|in realtà",
    ),
    "ru": Language(
        answers="ответ|ответы|ответом",
        links="это|равен|равна|равно|будет|составляет|является|есть|был бы",
        fillers="правильный|верный|окончательный|итоговый|итак|таким образом|наш|мой|следовательно"
        "|значит|примерно"
        "|ровно|вариант|буква|под буквой|поэтому|тогда|а именно|число",
        right="правильный|верный|верно|правильно|верен",
        negators="не|нет|невер*|неправильн*|ошибоч*|ни|вместо",
        hedges="может быть|возможно|наверное|либо|если|мог бы|может|не уверен*",
        suppositions="если|предположим|допустим|возможно|может быть|наверное|сомневаюсь",
        alternatives="или|либо",
        lists="и|а также",
        conclusions="итак|таким образом|следовательно|поэтому|значит|итого|всего|в итоге|отсюда"
        "|получаем|получается"
        "|в общей сложности|тогда",
        options="вариант|буква|пункт",
        choices="выбираю|выбираем|выбрать|остаётся|остается",
        corrections="исправление|поправка|подождите|нет|извините|стоп|точнее",
    ),
    "uk": Language(
        answers="відповідь|відповіді",
        links="це|дорівнює|становить|буде|є",
        fillers="правильна|вірна|остаточна|отже|таким чином|наша|варіант|приблизно|рівно|тому",
        right="правильн*|вірн*",
        negators="не|ні|неправильн*|невірн*|хибн*|замість",
        hedges="можливо|мабуть|може|якщо|або",
        suppositions="якщо|припустимо|можливо|мабуть|сумніваюся|чи",
        alternatives="або|чи",
        lists="і|й|та",
        conclusions="отже|таким чином|тому|разом|всього|загалом|звідси|отримуємо|тоді",
        options="варіант|літера",
        choices="обираю|обираємо",
        corrections="виправлення|ні|зачекайте|перепрошую",
    ),
    "ar": Language(
        answers="الإجابة|الاجابة|الجواب|إجابة|اجابة|جواب|إجابتي|الإجابات",
        links="هي|هو|تساوي|يساوي|تكون|ستكون",
        fillers="النهائية|النهائي|الصحيحة|الصحيح|إذن|إذاً|إذا|لذلك|بالتالي|الخيار|الحرف|حوالي|تقريبا"
        "|على السؤال|هنا",
        right="صحيح|صحيحة|الصحيح|الصحيحة",
        negators="ليست|ليس|لا|غير|لن|خاطئ*|خطأ|وليس|وليست",
        hedges="ربما|قد|إما|يمكن أن|لو|من الممكن",
        suppositions="إذا كانت|إذا كان|لو|ربما|لنفترض|نفترض|افترض|أشك",
        alternatives="أو|أم",
        lists="و",
        conclusions="إذن|إذاً|لذلك|وبالتالي|بالتالي|لذا|المجموع|إجمالا|أخيرا|أخيراً|في النهاية|وهكذا"
        "|نحصل على",
        options="الخيار|خيار|الحرف",
        choices="أختار|نختار|اختر",
        corrections="تصحيح|عفوا|عفواً|انتظر|لا",
    ),
    "fa": Language(
        answers="پاسخ|جواب",
        links="برابر است با|برابر با|عبارت است از|می‌شود|میشود",
        fillers="نهایی|صحیح|درست|بنابراین|پس|گزینه|گزینهٔ|حدود|ما",
        right="صحیح|درست",
        negators="نیست|غلط|نادرست|اشتباه|نه",
        hedges="شاید|ممکن است|احتمالا|اگر|یا",
        suppositions="اگر|شاید|فرض کنید|فرض کنیم",
        alternatives="یا",
        lists="و",
        conclusions="بنابراین|پس|در نتیجه|در مجموع|نهایتا|لذا|جمعا",
        options="گزینه|گزینهٔ",
        choices="انتخاب",
        corrections="تصحیح|صبر کنید|ببخشید",
        has_final_verb=True,
    ),
    "he": Language(
        answers="התשובה|תשובה",
        links="היא|הוא|הינה|תהיה",
        fillers="הסופית|סופית|הנכונה|נכונה|לכן|אם כן|אפוא|אפשרות",
        right="נכון|נכונה",
        negators="לא|אינה|אינו|איננה|שגויה",
        hedges="אולי|ייתכן|יכולה להיות|אם",
        suppositions="אם(?! כן)|אולי|נניח|ייתכן",
        alternatives="או",
        lists="ו",
        conclusions="לכן|מכאן|לסיכום|בסך הכל|סך הכל|אם כן",
        options="אפשרות|תשובה",
        choices="בוחר",
        corrections="תיקון|רגע|סליחה",
    ),
    "hi": Language(
        answers="उत्तर|जवाब|उत्तरः",
        links="है|होगा|होगी|हैं",
        fillers="अंतिम|सही|इसलिए|अतः|विकल्प|लगभग|का|हमारा|तो",
        right="सही|सत्य",
        negators="नहीं|गलत|ना|न",
        hedges="शायद|सकता|सकते|संभवतः|यदि|अगर",
        suppositions="यदि|अगर|शायद|मान लीजिए|मान लें",
        alternatives="या|अथवा",
        lists="और|तथा",
        conclusions="इसलिए|अतः|इस प्रकार|कुल|तो|अंततः|परिणामस्वरूप",
        options="विकल्प",
        choices="चुन*",
        corrections="सुधार|रुकिए|माफ़",
        bounds="से अधिक|से कम|से ज़्यादा|से ज्यादा|से बड़ा|से बड़ी|से छोटा|से छोटी|से ऊपर|से नीचे|से लेकर|कम से कम|अधिकतम",
        has_final_verb=True,
    ),
    "bn": Language(
        answers="উত্তর|উত্তরটি|উত্তরঃ|জবাব",
        links="হল|হলো|হবে|হচ্ছে",
        fillers="চূড়ান্ত|সঠিক|সুতরাং|তাই|অতএব|বিকল্প|প্রায়",
        right="সঠিক",
        negators="নয়|না|ভুল",
        hedges="হয়তো|পারে|সম্ভবত|যদি",
        suppositions="যদি|হয়তো|ধরুন|ধরা যাক|সম্ভবত",
        alternatives="বা|অথবা",
        lists="এবং|ও",
        conclusions="সুতরাং|তাই|অতএব|মোট|ফলে",
        options="বিকল্প",
        choices="নির্বাচন",
        corrections="সংশোধন|দাঁড়ান",
        has_final_verb=True,
    ),
    "vi": Language(
        answers="đáp án|đáp số|câu trả lời|trả lời",
        links="là|bằng|sẽ là|chính là",
        fillers="cuối cùng|đúng|chính xác|vậy|do đó|vì vậy|nên|khoảng|phương án|của bài toán",
        right="đúng|chính xác",
        negators="không|chưa|chẳng|sai",
        hedges="có thể|có lẽ|hoặc",
        suppositions="nếu|giả sử|có lẽ|liệu",
        alternatives="hoặc|hay",
        lists="và",
        conclusions="vậy|do đó|vì vậy|vì thế|cho nên|suy ra|tổng cộng|tóm lại|như vậy",
        options="phương án|lựa chọn|đáp án",
        choices="chọn",
        corrections="sửa lại|khoan|xin lỗi|đính chính",
    ),
    "tr": Language(
        answers="cevap|cevabı|cevabımız|yanıt|yanıtı|cevaplar",
        links="olur|olacaktır|eşittir|budur",
        fillers="doğru|nihai|son|kesin|sonuç olarak|o halde|yani|bu nedenle|seçenek|yaklaşık|şık",
        right="doğru|doğrudur",
        negators="değil*|olamaz|yanlış*|hayır",
        hedges="belki|olabilir|muhtemelen|ya da",
        suppositions="eğer|belki|varsayalım|diyelim",
        alternatives="veya|ya da|yahut",
        lists="ve",
        conclusions="sonuç olarak|bu nedenle|dolayısıyla|o halde|böylece|toplam|toplamda|yani|öyleyse",
        options="seçenek|seçeneği|şık|şıkkı",
        choices="seçiyorum|seçilir",
        corrections="düzeltme|hayır|dur|pardon",
        bounds="büyük*|küçük*|fazla*|az|azdır|çok|çoktur|yüksek*|düşük*|en az|en fazla|üzeri*|altında",
        has_final_verb=True,
    ),
    "id": Language(
        answers="jawaban|jawabannya|jawab|jwb",
        links="adalah|ialah|yaitu|yakni|menjadi",
        fillers="akhir|yang|benar|tepat|akhirnya|jadi|maka|sekitar|pilihan|opsi|dari soal ini",
        right="benar|tepat",
        negators="bukan|bukanlah|tidak|salah",
        hedges="mungkin|bisa jadi|barangkali",
        suppositions="jika|kalau|apabila|misalkan|andaikan|mungkin|barangkali|apakah",
        alternatives="atau",
        lists="dan|serta",
        conclusions="jadi|maka|oleh karena itu|dengan demikian|sehingga|totalnya|kesimpulannya|akhirnya",
        options="pilihan|opsi",
        choices="memilih|pilih",
        corrections="koreksi|tunggu|maaf|ralat",
    ),
    "th": Language(
        answers="คำตอบ|คําตอบ|ตอบ",
        links="คือ|เป็น|เท่ากับ|จึงเป็น|จึงคือ|ก็คือ",
        fillers="สุดท้าย|ที่ถูกต้อง|ถูกต้อง|ดังนั้น|ข้อ|ประมาณ|ของ|จึง|สำหรับโจทย์นี้",
        right="ถูกต้อง|ถูก",
        negators="ไม่ใช่|ไม่|ผิด|มิใช่",
        hedges="อาจ|บางที|ถ้า|หาก",
        suppositions="ถ้า|หาก|สมมติ|บางที|อาจ",
        alternatives="หรือ",
        lists="และ",
        conclusions="ดังนั้น|เพราะฉะนั้น|สรุป|รวม|ทั้งหมด",
        options="ข้อ|ตัวเลือก",
        choices="เลือก",
        corrections="แก้ไข|เดี๋ยว|ขอโทษ",
    ),
    "nl": Language(
        answers="antwoord|eindantwoord",
        links="is|luidt|zijn|wordt|bedraagt|zou",
        fillers="het|de|juiste|correcte|goede|uiteindelijke|definitieve|dus|daarom|dan|precies|ongeveer"
        "|optie|letter",
        right="juist|correct|goed",
        negators="niet|geen|nooit|fout|onjuist|verkeerd|in plaats van",
        hedges="misschien|mogelijk|zou kunnen|kan zijn|wellicht",
        suppositions="als|indien|stel|misschien|wellicht|betwijfel",
        alternatives="of",
        lists="en",
        conclusions="dus|daarom|kortom|in totaal|samen|bijgevolg|derhalve|uiteindelijk|concluderend",
        options="optie|keuze",
        choices="kies|kiezen",
        corrections="correctie|wacht|nee|sorry",
    ),
    "pl": Language(
        answers="odpowiedź|odpowiedzi|odpowiedzią|odp",
        links="to|brzmi|jest|wynosi|będzie",
        fillers="prawidłowa|poprawna|ostateczna|końcowa|właściwa|zatem|więc|czyli|dokładnie|około|opcja"
        "|litera|a więc",
        right="prawidłow*|poprawn*|właściw*",
        negators="nie|błędn*|nieprawidłow*|zamiast|ani",
        hedges="może|być może|prawdopodobnie|albo",
        suppositions="jeśli|jeżeli|gdyby|czy|załóżmy|może|być może|wątpię|przypuśćmy",
        alternatives="lub|albo|bądź",
        lists="i|oraz",
        conclusions="zatem|więc|dlatego|czyli|razem|łącznie|w sumie|podsumowując|ostatecznie|stąd",
        options="opcja|wariant",
        choices="wybieram|wybieramy",
        corrections="korekta|poprawka|chwila|przepraszam|nie",
    ),
    "sv": Language(
        answers="svar|svaret|svarene",
        links="är|er|blir|lyder|var|skulle vara|ville være",
        fillers="rätt|korrekt|slutgiltiga|slutliga|det|det rätta|alltså|därför|derfor|altså|således"
        "|riktige|rigtige"
        "|endelige|cirka|omtrent|alternativ|da|så",
        right="rätt|korrekt|riktig|rigtig|riktigt",
        negators="inte|icke|ikke|ej|inga|fel|feil|forkert|i stället för",
        hedges="kanske|kanskje|måske|kan vara|kan være|möjligen|antingen|enten",
        suppositions="om|anta|antag|kanske|kanskje|måske|hvis|tvivlar|möjligen",
        alternatives="eller",
        lists="och|og",
        conclusions="alltså|därför|således|derfor|altså|totalt|sammanlagt|tilsammen|sammenlagt"
        "|slutligen|til sammen",
        options="alternativ",
        choices="väljer|velger|vælger",
        corrections="rättelse|vänta|nej|nei|rettelse|vent",
    ),
    "cs": Language(
        answers="odpověď|odpovědi",
        links="je|zní|činí|bude|byla by|jsou",
        fillers="správná|konečná|tedy|proto|takže|přesně|asi|možnost",
        right="správn*",
        negators="není|ne|nikoli|špatn*|nesprávn*|místo",
        hedges="možná|asi nebo|mohla by|buď",
        suppositions="jestliže|pokud|kdyby|zda|možná|předpokládejme|pochybuji",
        alternatives="nebo|či",
        lists="a",
        conclusions="tedy|proto|takže|celkem|dohromady|závěrem|nakonec|tudíž",
        options="možnost|varianta",
        choices="vybírám|volím",
        corrections="oprava|počkat|ne|promiňte",
    ),
    "ro": Language(
        answers="răspunsul|răspuns|raspunsul|raspuns",
        links="este|e|ar fi|va fi|devine",
        fillers="final|corect|deci|așadar|prin urmare|varianta|exact|aproximativ|la întrebare",
        right="corect|corectă",
        negators="nu|greșit*|incorect*|în loc de|nici",
        hedges="poate|posibil|ar putea",
        suppositions="dacă|poate|presupunem|să presupunem|mă îndoiesc",
        alternatives="sau|ori",
        lists="și",
        conclusions="deci|așadar|prin urmare|astfel|în total|în concluzie|în final",
        options="varianta|opțiunea",
        choices="aleg",
        corrections="corecție|stai|scuze|nu",
    ),
    "el": Language(
        answers="απάντηση|απαντηση|απάντησή",
        links="είναι|ειναι|ισούται με|θα ήταν",
        fillers="η|τελική|σωστή|άρα|επομένως|λοιπόν|επιλογή|περίπου|το",
        right="σωστή|σωστό",
        negators="δεν|όχι|λάθος|λανθασμένη",
        hedges="ίσως|μπορεί|είτε",
        suppositions="αν|εάν|ίσως|ας υποθέσουμε|υποθέτουμε",
        alternatives="ή|είτε",
        lists="και",
        conclusions="άρα|επομένως|συνεπώς|συνολικά|τελικά|οπότε",
        options="επιλογή",
        choices="επιλέγω",
        corrections="διόρθωση|περίμενε|συγγνώμη",
    ),
    "hu": Language(
        answers="válasz|válaszom|végeredmény",
        links="az|a|lesz|egyenlő",
        fillers="a|az|helyes|végső|tehát|így|ezért|pontosan|körülbelül",
        right="helyes",
        negators="nem|helytelen|hibás",
        hedges="talán|lehet|esetleg",
        suppositions="ha|talán|tegyük fel|vajon|kétlem",
        alternatives="vagy",
        lists="és",
        conclusions="tehát|így|ezért|összesen|végül|következésképpen",
        options="opció",
        choices="választom",
        corrections="javítás|várj|bocsánat|nem",
        has_final_verb=True,
    ),
    "fi": Language(
        answers="vastaus|vastaukseni|vastaukset",
        links="on|olisi|ovat|tulee olemaan",
        fillers="oikea|lopullinen|siis|siten|näin ollen|noin|tasan|vaihtoehto",
        right="oikein|oikea",
        negators="ei|väärä|väärin|eikä",
        hedges="ehkä|voisi|saattaa|mahdollisesti|joko",
        suppositions="jos|ehkä|oletetaan|onko|epäilen",
        alternatives="tai|vai",
        lists="ja",
        conclusions="siis|siten|näin ollen|yhteensä|lopuksi|joten",
        options="vaihtoehto",
        choices="valitsen",
        corrections="korjaus|hetkinen|anteeksi|ei",
    ),
    "sw": Language(
        answers="jibu|majibu",
        links="ni|litakuwa|lingekuwa",
        fillers="la|mwisho|sahihi|kwa hivyo|hivyo|basi|chaguo|kamili",
        right="sahihi",
        negators="si|sio|siyo|si sahihi|makosa",
        hedges="labda|huenda|inaweza",
        suppositions="kama|ikiwa|labda|huenda|tuseme",
        alternatives="au|ama",
        lists="na",
        conclusions="kwa hivyo|hivyo|basi|jumla|kwa jumla|mwishowe",
        options="chaguo",
        choices="nachagua",
        corrections="sahihisho|subiri|samahani",
    ),
}
