"""Format numbers as claims, figures and the report print them."""


def number(value: float | None, digits: int = 3, sign: bool = False) -> str:
    """A number with fixed decimals and a true minus sign; a dash where there is none."""
    if value is None:
        return "–"
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")


def interval(
    value: float | None, lower: float | None, upper: float | None, sign: bool = False
) -> str:
    """A value with its interval in parentheses."""
    if value is None or lower is None or upper is None:
        return number(value, sign=sign)
    ends = f"{number(lower, sign=sign)} to {number(upper, sign=sign)}"
    return f"{number(value, sign=sign)} ({ends})"


def between(lower: float, upper: float) -> str:
    """What an undecided difference may still be."""
    return f"anything from {number(lower, sign=True)} to {number(upper, sign=True)} is possible"


def percent(share: float) -> str:
    """A probability in per cent, never 0 or 100 %."""
    return f"{share:.0%}" if 0.005 < share < 0.995 else ("> 99%" if share > 0.5 else "< 1%")


def p_value(p: float | None) -> str:
    """A p-value, never 0."""
    return "<0.001" if p is not None and p < 0.001 else number(p)
