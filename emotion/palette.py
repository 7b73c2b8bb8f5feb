"""The colours of figures, annotated pictures, the report's page and the web page.

Source: Okabe & Ito 2008, eight colours that colour-blind people can tell apart (https://jfly.uni-koeln.de/color/).
"""

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, BLACK = "#CC79A7", "#56B4E9", "#F0E442", "#000000"
GREY, PALE_GREY = "#888888", "#E4E4E4"  # of lines to compare with, and of grids
LINES = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)  # on white, where yellow is hard to see
UNCERTAIN_GREY = "#969696"  # of a face whose label is uncertain
BOXES = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, YELLOW)  # on photographs, where black is


def rgb(colour: str) -> tuple[int, int, int]:
    """Turn `#0072B2` into red, green and blue, 0 to 255."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
