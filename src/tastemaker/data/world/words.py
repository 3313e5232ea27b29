"""The words a generated world speaks: genres, what their stories are about, and names.

Every genre has three themes, and every theme its own nouns. Titles and descriptions are built from them, so that
a text model has something true to learn: two stories about the sea share words, and some people like the sea.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """What a story is about: nouns for its title, people in it, and what they meet."""

    nouns: tuple[str, ...]
    people: tuple[str, ...]
    things: tuple[str, ...]


@dataclass(frozen=True)
class Genre:
    """A genre: who tends to like it, when it is watched, and how it sounds.

    Attributes:
        female, young, old: What is added to the taste for it of a woman (taken from a man's), of the young and of
            the old.
        hour: The hour of day around which it is watched.
        spread: The standard deviation of that hour, in hours.
        tones: Adjectives that describe it.
        themes: What its stories are about.
    """

    female: float
    young: float
    old: float
    hour: float
    spread: float
    tones: tuple[str, ...]
    themes: tuple[Theme, ...]


def _theme(nouns: str, people: str, things: str) -> Theme:
    return Theme(*(tuple(part.split("; ")) for part in (nouns, people, things)))


def _tones(words: str) -> tuple[str, ...]:
    return tuple(words.split())


GENRES: dict[str, Genre] = {
    "drama": Genre(0.4, -0.2, 0.3, 20, 2.0, _tones("quiet moving restrained tender"), (
        _theme("Inheritance; House; Daughters; Orchard", "three estranged sisters; a widowed farmer; a stubborn matriarch",
               "a family farm in debt; an orchard and its inheritance; a long-buried letter"),
        _theme("Ward; Night Shift; Surgeon; Pulse", "a young surgeon; an exhausted nurse; a hospital porter",
               "an overcrowded hospital; a patient without a name; a night shift in the emergency ward"),
        _theme("Verdict; Counsel; Witness; Oath", "a defence lawyer; a retired judge; a reluctant juror",
               "a trial that divides the town; a courtroom secret; a verdict nobody trusts"),
    )),
    "comedy": Genre(0.1, 0.3, -0.1, 19, 2.0, _tones("deadpan warm awkward giddy"), (
        _theme("Cubicle; Meeting; Memo; Copy Room", "a clueless manager; two bored accountants; an overqualified intern",
               "a paper company's office; an endless staff meeting; a broken office printer"),
        _theme("Flatmates; Couch; Spare Key; Housewarming", "four broke flatmates; a hapless landlord; a retired clown",
               "a flat with one bathroom; unpaid rent and a loud parrot; a doomed housewarming"),
        _theme("In-Laws; Wedding Cake; Minivan; Reunion", "two rival grandmothers; a frantic father; an uninvited cousin",
               "a wedding gone sideways; a family reunion in a minivan; a stolen wedding cake"),
    )),
    "crime": Genre(-0.1, 0.0, 0.3, 22, 1.5, _tones("gritty slow-burning bleak intricate"), (
        _theme("Heist; Vault; Safecracker; Diamonds", "a crew of safecrackers; a getaway driver; a master forger",
               "one last heist; a bank vault full of diamonds; a getaway that fails"),
        _theme("Inspector; Cold Case; Alibi; Suspect", "a sleepless inspector; a disgraced detective; a village constable",
               "a murder without a suspect; a cold case from her childhood; an alibi that is too good"),
        _theme("Cartel; Kingpin; Harbour; Border", "a chemistry teacher turned smuggler; an ageing kingpin; an undercover agent",
               "a cartel's missing money; a smuggling route across the border; a war between gangs"),
    )),
    "thriller": Genre(0.0, 0.3, -0.2, 22, 1.5, _tones("tense breathless ruthless paranoid"), (
        _theme("Game; Last Player; Rules; Arena", "four hundred desperate players; a masked game master; an indebted gambler",
               "a deadly game with childish rules; a survival game for a fortune; an arena with one exit"),
        _theme("Cipher; Double Agent; Embassy; Handler", "a double agent; a retired spymaster; a codebreaker",
               "a leaked cipher; an embassy under siege; a mole inside the agency"),
        _theme("Signal; Password; Blackout; Firewall", "a teenage hacker; a security engineer; a whistleblower",
               "a blackout across the continent; a stolen password; a network that watches everyone"),
    )),
    "horror": Genre(-0.2, 0.7, -0.6, 23, 1.2, _tones("chilling dreadful unsettling macabre"), (
        _theme("Haunting; Attic; Manor; Seance", "a grieving family; a sceptical medium; a night caretaker",
               "a haunted manor; whispers from the attic; a ghost that keeps its promises"),
        _theme("Outbreak; Undead; Quarantine; Hunger", "the last survivors; an army doctor; a stranded schoolbus",
               "an outbreak of the undead; a quarantined city; a hunger without cure"),
        _theme("Woods; Ritual; Hollow; Scarecrow", "five lost campers; a village cult; a folklorist",
               "a ritual in the woods; something hungry in the hollow; a harvest that wants blood"),
    )),
    "science fiction": Genre(-0.4, 0.3, -0.2, 21, 2.0, _tones("visionary cerebral vast eerie"), (
        _theme("Orbit; Starship; Colony; Airlock", "a starship's mutinous crew; the first colonists; a lone pilot",
               "a colony beyond the rings of Saturn; a failing starship; a signal from deep space"),
        _theme("Android; Replica; Circuit; Turing", "a rebellious android; a robot mechanic; a grieving programmer",
               "an android that dreams; a factory of human replicas; the first robot on trial"),
        _theme("Paradox; Loop; Yesterday; Clockwork", "two rival physicists; a time traveller; a librarian outside time",
               "a time loop of one Tuesday; a paradox that erases people; a machine that visits yesterday"),
    )),
    "fantasy": Genre(0.1, 0.5, -0.4, 20, 2.0, _tones("epic enchanted wondrous dark"), (
        _theme("Throne; Dragons; Ember; Siege", "a bastard prince; a dragon rider; a queen in exile",
               "a throne of seven claims; the last dragon's egg; a siege in the winter"),
        _theme("Witch; Grimoire; Coven; Spell", "an apprentice witch; a coven in hiding; a cursed sorcerer",
               "a forbidden grimoire; a spell that went wrong; an academy of magic"),
        _theme("Sword; Quest; Ranger; Labyrinth", "an unlikely fellowship; a blind swordsman; a banished elf",
               "a quest for a broken sword; a labyrinth under the mountain; an oath older than kingdoms"),
    )),
    "romance": Genre(0.9, 0.1, 0.1, 20, 2.0, _tones("swooning bittersweet charming heartfelt"), (
        _theme("Summer; Lighthouse; Postcards; Ferry", "a lighthouse keeper; two pen friends; a travel writer",
               "a summer on the island; love letters lost for years; a kiss on the last ferry"),
        _theme("Bakery; Recipe; Vineyard; Cinnamon", "a pastry chef; a heartbroken baker; a vineyard heiress",
               "a bakery about to close; a recipe for second chances; a harvest at the vineyard"),
        _theme("Ballroom; Governess; Suitor; Waltz", "a penniless governess; a reluctant duke; a scandalous debutante",
               "a ball that changes everything; a marriage of convenience; a scandalous waltz"),
    )),
    "documentary": Genre(0.0, -0.3, 0.7, 19, 2.5, _tones("patient revealing luminous candid"), (
        _theme("Reef; Ocean; Migration; Glacier", "marine biologists; a wildlife photographer; herds of elephants",
               "a dying coral reef; the great migration; life under a glacier"),
        _theme("Kitchen; Harvest; Salt; Street Food", "street food cooks; a three-star chef; village cheesemakers",
               "the origins of salt; a kitchen at full heat; grandmothers' forgotten dishes"),
        _theme("Machine; Blueprint; Concrete; Bridge", "bridge engineers; a visionary architect; tunnel workers",
               "the tallest tower ever built; a bridge that collapsed; the machine that changed a city"),
    )),
    "kids": Genre(0.3, -0.5, -0.6, 8, 1.5, _tones("playful cheerful colourful silly"), (
        _theme("Puppies; Treehouse; Barnyard; Whiskers", "a gang of puppies; a clumsy kitten; a singing piglet",
               "a treehouse full of secrets; a big day in the barnyard; a lost toy and a friendly fox"),
        _theme("Robots; Tiny Rocket; Inventors; Gizmo", "two little inventors; a friendly robot; a talking rocket",
               "a gizmo that makes bubbles; a trip to the moon before bedtime; a playground of numbers"),
        _theme("Pirates; Treasure; Mermaid; Island", "a seven-year-old captain; a mermaid who cannot swim; a parrot and his crew",
               "a treasure map in crayon; an island of giggling crabs; a race with paper boats"),
    )),
    "action": Genre(-0.7, 0.5, -0.3, 21, 1.8, _tones("explosive relentless stylish furious"), (
        _theme("Convoy; Bullet; Bodyguard; Recoil", "a retired bodyguard; a rogue commando; twin assassins",
               "a convoy through the desert; a price on his head; a kidnapped ambassador"),
        _theme("Dojo; Tournament; Fist; Crane", "a disgraced champion; a street fighter; an old martial arts master",
               "a tournament without referees; a rival dojo; the forbidden strike"),
        _theme("Redline; Overdrive; Asphalt; Pursuit", "an outlaw racing team; a stunt driver; a motorcycle courier",
               "an illegal race across Europe; a car that cannot stop; a chase through the old town"),
    )),
    "history": Genre(0.2, -0.6, 0.6, 20, 2.0, _tones("sumptuous stately scheming meticulous"), (
        _theme("Crown; Palace; Regent; Coronation", "a young queen; a scheming regent; a royal secretary",
               "a crown she never wanted; palace intrigue; a coronation in wartime"),
        _theme("Trenches; Armistice; Resistance; Telegram", "a field nurse at the front; resistance couriers; a deserter",
               "a winter in the trenches; a telegram that comes too late; an occupied city"),
        _theme("Empire; Legion; Senate; Voyage", "a gladiator; an ambitious senator; a navigator of the empire",
               "an empire close to collapse; a conspiracy in the senate; a voyage off the map"),
    )),
}  # fmt: skip
"""Genre by name. The order is the code order of all genre arrays."""

QUALIFIERS = _tones(
    "Last Silent Broken Golden Hidden Second Midnight Burning Crooked Distant Final Forgotten Paper Iron Little"
)
PLACES = _tones(
    "Lisbon Tallinn Valparaiso Busan Trieste Oslo Marrakesh Galway Nagoya Montreal Cartagena Bergen"
)
LANGUAGES = {
    "English": 0.5,
    "Korean": 0.12,
    "Spanish": 0.12,
    "French": 0.08,
    "Japanese": 0.08,
    "German": 0.05,
    "Hindi": 0.05,
}

FIRST_NAMES = _tones(
    "Alice Bob Chris Derek Emma Farid Grace Hiro Ines Jonas Keiko Liam Maya Noah Olga Pablo Quinn Rosa "
    "Samir Tess Umar Vera Will Xenia Yusuf Zoe Amara Bruno Clara Dmitri Elif Finn Gita Hugo Iris Javier "
    "Kira Leo Mina Nils Oona Priya Rafael Sofia Theo Uma Viktor Wanda Xavier Yara Zane Anouk Boris "
    "Chiara Dario Esme Felix Greta Hassan Ivy Jamal Katja Lars Mei Nadia Oscar Petra Rune Selma Tariq "
    "Ulla Vince Wren Ximena Yann Zara Anton Bella Cyrus Dalia Emil Freya Goran Helga Igor Jade Kofi "
    "Luna Marco Nina"
)
SURNAMES = _tones(
    "Adeyemi Bergstrom Castellan Dubois Eriksen Fontaine Galvao Hartmann Ibarra Jansen Kowalski "
    "Lindqvist Moreau Nakagawa Okafor Petrov Quist Rossi Sandoval Tanaka Ulrich Varga Whitlock Ximenes "
    "Yamada Zielinski Abara Brandt Corvino Dalgaard Eastwick Falk Greaves Holloway Ivanova Jourdan Kerr "
    "Lachance Mbeki Norling Oduya Pereira Quimby Rahman Soler Thorne Umarov Vidal Wexford Yilmaz Zamora "
    "Ashdown Bellamy Cho Drummond Ekberg Farrow Gallo Hale Iyer"
)


def personal_name(number: int) -> str:
    """The ``number``-th person's name: readable, and different for every number.

    First names alone, then each with a surname, then with a surname and a numeral.

    >>> personal_name(0), personal_name(90), personal_name(91)
    ('Alice', 'Alice Adeyemi', 'Bob Hartmann')
    """
    block, first = divmod(number, len(FIRST_NAMES))
    if block == 0:
        return FIRST_NAMES[first]
    generation, shift = divmod(block - 1, len(SURNAMES))
    surname = (7 * first + shift) % len(SURNAMES)  # so that neighbours are no relatives
    name = f"{FIRST_NAMES[first]} {SURNAMES[surname]}"
    return f"{name} {generation + 1}" if generation else name


def slug(text: str) -> str:
    """Lower case, with hyphens for all that is no letter or digit.

    >>> slug("Love & Salt: The End")
    'love-salt-the-end'
    """
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower().replace("'", "")).split())
