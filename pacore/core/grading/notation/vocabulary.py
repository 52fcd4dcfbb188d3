"""The known words: closed lists, each of words with one function.

An unknown word makes a text unreadable, since it might mean "not", in any language.
"""

from __future__ import annotations

from functools import lru_cache


def names(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


ANNOUNCING = names(
    """
    the final correct answer answers result solution solutions value values therefore thus hence so
    then we get have obtain find that this it is are be equals equal total our required desired
    """
)
"""Words before an answer that only announce it."""

COPULAS = names("is are equals")
"""Words between a name and its value."""

QUANTITIES = names(
    """
    answer area average base circumference cost diameter difference distance height length mass
    maximum mean median minimum mode number percentage perimeter price probability product profit
    quotient radius ratio remainder side slope speed sum time total volume weight width of the
    largest smallest greatest least
    """
)
"""Names of quantities before an equals sign."""

FUNCTIONS_BY_NAME = names(r"f g h F G H P E \phi \psi")
"""Letters that name a function before any brackets; other letters only before a single token."""

SHORT_WORDS = names(
    """
    not no the if of to by is are as at an be for was has had but nor per via yet any all ca non pas
    nie kein nao que con les des und der das die mas ou ni
    """
)
"""Words that are short enough to be read as products of symbols."""

NOTHING = frozenset(
    (
        "no solution",
        "no solutions",
        "no real solution",
        "no real solutions",
        "empty set",
        "the empty set",
        "null set",
        "none",
        "\\emptyset",
        "\\{ \\}",
    )
)
"""The empty set."""

REALS = frozenset(("\\mathbb R", "all real numbers", "all reals", "all real x", "real numbers"))
"""All real numbers."""

_NOUNS = names(
    """
    act action activity adult age air album ambulance amount animal answer ant apartment apple
    apricot aquarium arc area arm arrangement arrow article asset attempt aunt author avocado baby
    bag bagel bake baker ball balloon banana band bandage bank bar barrel base basket basketball bat
    batch bath bathroom battery bead beaker bean bear bed bedroom bee beer beetle bell belt bench
    berry bicycle bike bill bird birthday biscuit bit bite blanket block blouse blueberry board boat
    body bolt bone book bookcase bookmark bookshelf boot bottle bouquet bow bowl box boy bracelet
    branch bread brick bridge broom brother brownie brush bucket bud budget bug building bulb bull
    bun bunch bundle bus bush business butterfly button buyer byte cabinet cage cake calf call
    calorie camel camera camp can candidate candle candy canoe cap capsule car card carnation carrot
    cart carton case cat caterpillar cell center chain chair chairs champion chapter character
    charge cheek cheese cherry chest chick chicken child chip chocolate choice chord chore cigarette
    circle city class classmate classroom client climber clip clock cloud clown club coach coat
    coconut code coin collection color colour column combination comic committee commuter company
    competitor computer condition cone container contestant cookie cookies copy corner cost couch
    country course court cousin cow coworker crab cracker crate crayon creature crew crocodile
    croissant crop cube cucumber cup cupcake curtain customer cut cycle cylinder daisy dance dancer
    date daughter deck deer delegate delivery dentist department deposit desk dessert diagonal
    diamond diaper dice die digit dime dinner dinosaur disc discount dish disk distance divisor
    doctor dog doll dolphin donation donkey donut door dot doughnut download drawer drawing dress
    drink driver drop drum duck dvd ear earring edge egg eggplant element elephant elf email
    employee end engine engineer entry envelope episode eraser event exam exercise expense
    experiment eye face factor factory fairy family fan farm farmer fee fence field fight figure
    file finger finish fire firefighter fireman fish fisherman flag flight flip floor flour flower
    fly fold folder follower food foot fork form formula fox fraction frame friend friendship frog
    fruit function game garden gate gem generation giraffe girl glass globe glove glue goal goat
    goldfish goose grade grain grape grapefruit graph grass grasshopper group guest guitar gum
    gumball guy gymnast hair hammer hamster hand handkerchief handshake hat head heart helicopter
    helmet hen hexagon highlighter hill hit hive hole home hoop horse hose hospital hotdog hotel
    house household hull human hut ice idea image inhabitant insect instruction instrument integer
    interest invitation island item jacket jar jellybean jersey jet jewel job joke journal journey
    juice jump jumper key kid kilobyte kingdom kit kitchen kite kitten knife knight knot lab label
    ladder lady ladybug lake lamb lamp land lap laptop lawn lawyer layer leaf league leg lego lemon
    lesson letter level librarian library life light lily line link lion lipstick list lizard loaf
    lobster lock locker log lollipop loop lunch machine magazine magnet mail man mango map maple
    marathon marble mark marker market marshmallow mask mat match matchbox meal meat medal meeting
    melon member memory men message microbe milk milkshake minister mirror model mole moment money
    monkey monster moon mosquito mother motor motorcycle mountain mouse mouth move movie muffin mug
    multiple mushroom musician nail name napkin neck necklace needle neighbor neighbour nest net
    newspaper nickel night node noodle note notebook novel number nurse nut oar octopus office
    officer olive onion operation option orange orchard orchid order organ ornament orphan outcome
    outfit oven owl owner oyster pack package packet pad page pail paint painter painting pair pan
    pancake panda pant paper paragraph parent park parrot part partner party pass passenger password
    pastry patch path patient pattern paw payment pea peach peacock peanut pear pearl pebble peg pen
    pencil penguin penny people pepper performance permutation person pet petal phone photo
    photograph piano pick picture pie piece pig pigeon pill pillow pin pineapple pipe pirate pitch
    pitcher pizza place plan plane planet plant plate platform play player plum pocket poem point
    pole policeman pond pony pool popcorn popsicle portion position post postcard poster pot potato
    prayer present pretzel price prime prize problem product profit program project proposal puddle
    pumpkin pupil puppy purchase purse puzzle pyramid question quilt quiz rabbit race rack radish
    rainbow raisin rat ray recipe record rectangle region rental report restaurant review revolution
    ribbon rice ride ring rise river road robin robot rock roll roof room root rope rose rotation
    round route row rower ruby rug ruler run runner sack sailor salad salary sale salmon sandwich
    sauce saucer sausage saving scarf scene school scientist scissors scoop scooter scorpion screen
    screw sculpture sea seal seashell season seat section seed segment sentence server serving set
    share shark shed sheep sheet shelf shell shift ship shirt shoe shop shot shovel show shrimp
    shrub sibling side sign singer sink sip sister skein skirt slice slide snack snail snake sneaker
    soap sock sofa soldier solution son song soup space spaceship spark speaker species spectator
    speech spider spoon sport spot sprinkle square squirrel stair stall stamp stand star starfish
    state station statue steak step stick sticker stitch stone store storm story straw strawberry
    street string student subject subset sum sunflower superhero supper surface survey sweater sweet
    swimmer swing sword symbol system table tablet tadpole tail tank tape target task taxi tea
    teacher team tear teddy tel television tent term terminal test text theater thing throw ticket
    tie tiger tile timer tip tire toe token tomato tool tooth toothbrush top touchdown tourist towel
    tower town toy tractor trade train tray treasure treat tree trial triangle tribe trick trip
    truck trumpet trunk tube tulip turkey turn turnip turtle tutor twig type umbrella uncle
    undergraduate unicorn uniform unit van vase vegetable vehicle verse vertex vest video view
    village violin visit visitor voice volleyball volume volunteer vote voter vowel wagon waiter
    walk wall wallet walnut watch watermelon wave way weapon wedding week weight whale wheel window
    wine wing winner wire witch wolf woman women word work worker workshop worm wrapper yogurt yolk
    zebra zoo
    """
)

_QUALITIES = names(
    """
    additional adult available baby big black blank blue bottled brand brown colored complete
    consecutive correct cubic daily different distinct empty english equal extra female filled fresh
    full gold golden good gray green high hot identical individual integer international large
    little local long low male new nonzero old orange ordered ordinary original outside perfect pink
    plain positive possible potted purple real red regular remaining ripe school short silver small
    solid special square tall total unique used white whole wild wooden yellow young
    """
)
"""Adjectives before a counted noun, which do not change the number."""

_ALL_OF_IT = tuple(
    tuple(phrase.split())
    for phrase in (
        "in total",
        "in all",
        "left over",
        "total",
        "altogether",
        "left",
        "remaining",
        "each",
        "together",
    )
)
"""Words after a counted noun for a total."""

_IRREGULAR = dict(
    pair.split("/")
    for pair in names(
        """
        children/child people/person men/man women/woman feet/foot teeth/tooth mice/mouse
        geese/goose leaves/leaf knives/knife loaves/loaf shelves/shelf wolves/wolf elves/elf
        calves/calf lives/life vertices/vertex scarves/scarf matrices/matrix firemen/fireman
        policemen/policeman wives/wife oxen/ox
        """
    )
)

_UNCHANGED = names(
    """
    bread candy cheese chocolate deer fish flour food fruit grass gum homework juice land meat milk
    money paint paper popcorn rice salmon sheep shrimp soup species sugar sunshine tape tea trout
    water wine wood work
    """
)
"""Nouns with equal singular and plural, and uncountable nouns."""


@lru_cache(maxsize=4096)
def noun(word: str) -> str | None:
    """The singular of a countable noun; None for any other word."""
    word = _IRREGULAR.get(word, word)
    for ending, instead in (("", ""), ("s", ""), ("es", ""), ("ies", "y")):
        one = word.removesuffix(ending) + instead
        if word.endswith(ending) and (one in _NOUNS or one in _UNCHANGED):
            return one
    return None


def counted(words: tuple[str, ...], is_one: bool) -> str | None:
    """The counted noun in words in lower case, without adjectives; None where they say more.

    ``red apples in total`` is ``apple``, ``cups of tea`` is ``cup of tea``, and "" is any thing. Unless
    ``is_one``, the noun has to be a plural: a singular after a number is rarely what is counted.
    """
    for ending in _ALL_OF_IT:
        if words[-len(ending) :] == ending:
            words = words[: -len(ending)]
            break
    if not words:
        return ""
    if "of" in words[1:-1]:
        at = words.index("of", 1)
        first, second = counted(words[:at], is_one), counted(words[at + 1 :], True)
        return f"{first} of {second}" if first and second else None
    last = noun(words[-1])
    if last is None or (last == words[-1] and not is_one and last not in _UNCHANGED):
        return None
    before = [noun(word) for word in words[:-1] if word not in _QUALITIES]
    kept = [name for name in before if name is not None]
    return None if len(kept) < len(before) else " ".join([*kept, last])
