"""Not yet."""

HELP = "soon"


def arguments(parser): ...
def run(options):
    return 0
