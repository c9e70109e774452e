"""Names in report texts that nothing but their capitals tells of.

English writes names, and little else within a sentence, with a capital. What radiology writes so as
well is listed here: eponyms, devices and their makers, and words of headings.
"""

import re
from collections.abc import Iterator

_WORD = re.compile(
    r"(?<![\w’'-])(?:[A-Z]['’])?(?:Mc|Mac|De|Di|La|Le|Van|Von)?[A-ZÀ-Þ][a-zß-ÿ]+(?:-[A-ZÀ-Þ][a-zß-ÿ]+)*"
    r"(?![\w-])"
)
_SURNAME_FIRST = re.compile(r"(?<![\w’'-])[A-ZÀ-Þ][A-ZÀ-Þ’'-]+(?=,[ \t]?$)")
_BEFORE_START = re.compile(r"(?:^|(?<!\b[A-Z])\.|[!?:;•*\n\r]|\n\s*-|\d[.)])[\s\"“(\[]*$")
_NEXT = re.compile(r",?[ \t]+(?:[A-Z]\.?[ \t]+)?")

_CLINICAL = """
abdomen accession african age agfa aicd alzheimer american amplatz aortic ap apical asian
attending bard barrett bilateral biotronik blakemore blalock bochdalek boerhaave bone bones
british broviac bucky burkitt caplan cardiac cardiomediastinal cardiomegaly carestream castleman
catheter caucasian cervical chest chiari chilaiditi clear clinical cobb colles comparison
conclusion coumadin covid crohn ct cushing dacron dandy decubitus denver diaphragm dobbhoff
dobhoff doppler dressler ebstein eisenmenger emergency endotracheal english erect european ewing
exam examination fallot film findings fleischner fogarty foley fontan french friday frontal fuji
ganz gastrografin ghon glenn goretex greenfield groshong hampton harrington heart heimlich hickman
hila hilar hispanic history hodgkin hologic holter hounsfield i icu ii iii image images impella
impression indication iv kaposi kartagener keofeed kerley kirschner klebsiella kodak kveim
langerhans lateral latin left leksell lewy lines lobe lower lung lungs luschka mach mallory marfan
mediastinum medtronic middle mild moderate monaldi monday monro morgagni morison mounier-kuhn mri
mycobacterium naclerio nissen none normal note omnipaque osseous pa pacemaker paget pancoast
parkinson patient philips picc pleura pleural pleurx pneumocystis pneumothorax poland port
port-a-cath porta portable post pre procedure pulmonary quinton radiograph ranke rasmussen raynaud
reason rendu-osler rib ribs right rigler roentgen salem saturday scheuermann schmorl semi-erect
senning series severe shiley siemens sjogren small spine stable staphylococcus sternal
streptococcus study sudeck sunday supine swan swan-ganz swyer-james takayasu technique tenckhoff
tesio thoracic thursday trachea trauma tube tubes tuesday unchanged unit upper upright valsalva
view views virchow ward waterston wednesday wegener westermark wilms x-ray xray zenker
"""
CLINICAL = frozenset(_CLINICAL.split())
"""Lower case; a plural or possessive s is ignored."""

_STARTERS = """
a again also although an and another any appearance are as at because before both but by central
change compared consider correlate degenerative discussed due during each else evidence follow-up
following for free from given has have he her his however if in increased interval is it its large
last mr mrs ms multiple new no not now of old on one or other otherwise our overall per persistent
please possible previous prior probable recent recommend recommended report reported same
scattered see seen she since slight some status suggest telephoned that the their then there these
they this those to today two under unremarkable until via visualised visualized was we were when
where which while with within without
"""
STARTERS = frozenset(_STARTERS.split())
"""Words that begin a sentence before a name, and are none."""


def names(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of words whose capitals make them names, from the left.

    A word within a sentence is a name if it has a capital and is not in `CLINICAL`; the first word
    of a sentence, and one in capitals with a comma, if a name follows; a word's possessive s stays.
    """
    words = [match.span() for match in _WORD.finditer(text)]
    named = set()
    follower: tuple[int, int] | None = None
    for start, end in reversed(words):
        plain = _plain(text[start:end])
        is_name = plain not in CLINICAL and plain not in STARTERS
        if _BEFORE_START.search(text[max(0, start - 40) : start]):
            followed = follower is not None and _NEXT.fullmatch(text[end : follower[0]])
            is_name = is_name and bool(followed or text[end : end + 2] in ("'s", "’s"))
        if is_name:
            named.add((start, end))
            follower = start, end
            before = _SURNAME_FIRST.search(text[max(0, start - 40) : start])
            if before:
                offset = max(0, start - 40)
                named.add((before.start() + offset, before.end() + offset))
        else:
            follower = None
    yield from sorted(named)


def _plain(word: str) -> str:
    lowered = word.lower().replace("’", "'")
    return lowered if lowered in CLINICAL else lowered.removesuffix("s")
