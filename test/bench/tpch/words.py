"""Words of the columns, and comments put together of them."""

COLORS = """almond antique aquamarine azure beige bisque black blanched blue blush brown burlywood burnished chartreuse
chiffon chocolate coral cornflower cornsilk cream cyan dark deep dim dodger drab firebrick floral forest frosted gainsboro
ghost goldenrod green grey honeydew hot indian ivory khaki lace lavender lawn lemon light lime linen magenta maroon medium
metallic midnight mint misty moccasin navajo navy olive orange orchid pale papaya peach peru pink plum powder puff purple
red rose rosy royal saddle salmon sandy seashell sienna sky slate smoke snow spring steel tan thistle tomato turquoise
violet wheat white yellow""".split()
TYPES = [" ".join((a, b, c))
         for a in ("STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO")
         for b in ("ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED")
         for c in ("TIN", "NICKEL", "BRASS", "STEEL", "COPPER")]
CONTAINERS = [" ".join((a, b))
              for a in ("SM", "LG", "MED", "JUMBO", "WRAP")
              for b in ("CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM")]
BRANDS = [f"Brand#{a}{b}" for a in range(1, 6) for b in range(1, 6)]
SEGMENTS = ("AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD")
PRIORITIES = ("1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW")
INSTRUCTIONS = ("DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN")
MODES = ("REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB")
REGIONS = ("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST")
NATIONS = (("ALGERIA", 0), ("ARGENTINA", 1), ("BRAZIL", 1), ("CANADA", 1), ("EGYPT", 4), ("ETHIOPIA", 0), ("FRANCE", 3),
           ("GERMANY", 3), ("INDIA", 2), ("INDONESIA", 2), ("IRAN", 4), ("IRAQ", 4), ("JAPAN", 2), ("JORDAN", 4),
           ("KENYA", 0), ("MOROCCO", 0), ("MOZAMBIQUE", 0), ("PERU", 1), ("CHINA", 2), ("ROMANIA", 3),
           ("SAUDI ARABIA", 4), ("VIETNAM", 2), ("RUSSIA", 3), ("UNITED KINGDOM", 3), ("UNITED STATES", 1))

NOUNS = """foxes ideas theodolites instructions dependencies excuses platelets asymptotes courts dolphins multipliers
sauternes warthogs frets dinos attainments somas braids hockey frays warhorses dugouts notornis epitaphs pearls
tithes waters orbits gifts sheaves depths sentiments decoys realms pains grouches escapades packages requests accounts
deposits""".split()
VERBS = """sleep wake are cajole haggle nag use boost affix detect integrate maintain nod was lose sublate solve thrash
promise engage hinder print doze run dazzle snooze unwind kindle play hang believe doubt""".split()
ADJECTIVES = """furious sly careful blithe quick fluffy slow quiet ruthless thin close dogged daring brave stealthy
permanent enticing idle busy regular final ironic even bold silent special pending express unusual""".split()
ADVERBS = """sometimes always never furiously slyly carefully blithely quickly fluffily slowly quietly ruthlessly thinly
closely doggedly daringly bravely stealthily permanently enticingly idly busily regularly finally ironically evenly boldly
silently""".split()
PREPOSITIONS = ("about above according to across after against along alongside of among around at atop before behind beneath "
                "beside besides between beyond by despite during except for from in place of inside instead of into near of "
                "on outside over past since through throughout to toward under until up upon without with within").split(" ")
AUXILIARIES = ("do", "may", "might", "shall", "will", "would", "can", "could", "should", "ought to", "must",
               "will have to", "shall have to", "could have to", "should have to", "must have to", "need to", "try to")
ENDS = (".", ";", ":", "?", "!", "--")


def noun_phrase(random):
    pick = random.choice
    return pick((pick(NOUNS), f"{pick(ADJECTIVES)} {pick(NOUNS)}", f"{pick(ADJECTIVES)}, {pick(ADJECTIVES)} {pick(NOUNS)}",
                 f"{pick(ADVERBS)} {pick(ADJECTIVES)} {pick(NOUNS)}"))


def verb_phrase(random):
    pick = random.choice
    return pick((pick(VERBS), f"{pick(AUXILIARIES)} {pick(VERBS)}", f"{pick(VERBS)} {pick(ADVERBS)}",
                 f"{pick(AUXILIARIES)} {pick(VERBS)} {pick(ADVERBS)}"))


def sentence(random):
    by = f"{random.choice(PREPOSITIONS)} the {noun_phrase(random)}"
    subject, verb = noun_phrase(random), verb_phrase(random)
    return random.choice((f"{subject} {verb}", f"{subject} {verb} {by}", f"{subject} {verb} {noun_phrase(random)}",
                          f"{subject} {by} {verb} {noun_phrase(random)}",
                          f"{subject} {by} {verb} {by}")) + random.choice(ENDS)


def text_pool(random, size=300_000):
    """A long text; comments are pieces of it."""
    parts, length = [], 0
    while length < size:
        parts.append(sentence(random))
        length += len(parts[-1]) + 1
    return " ".join(parts)
