"""What stands in the place of a story: a page that only works by script, an error, a wall of consent or of payment."""

from __future__ import annotations

import re
from dataclasses import dataclass

from main_worker.links.chunks import count_words

# Only a text this short is suspected: a story may speak of cookies, subscriptions and pages not found.
_SUSPECT_WORDS = 120
_NO_TEXT = 50  # characters
_SIGNS_OF_CONSENT = 3


@dataclass(frozen=True)
class Obstacle:
    """Why a page holds no story: `sentence` goes on after the page's address, `advice` is a sentence of its own."""

    sentence: str
    advice: str


_ERROR = Obstacle(
    "is an error page, though its server says that all is well",
    "Check in a browser that the address still leads to the story.",
)
_ROBOTS = Obstacle(
    "asks whether its reader is a robot before it shows its text",
    "Save the story as a text file elsewhere, or use an address that is open to all.",
)
_SCRIPT = Obstacle(
    "shows its text, if it has any, only by script",
    "Scripts are not run here; use the print version of the page, or another address of the same story.",
)
_CONSENT = Obstacle(
    "shows a request for consent instead of its text",
    "Nobody can consent here; use the print version of the page, or another address of the same story.",
)
_PAYMENT = Obstacle(
    "shows only the beginning of its text, and the rest to subscribers",
    "Use an address where the whole story can be read without signing in.",
)

_ERROR_TITLE = re.compile(
    r"^\W*(?:error\W*)?(?:404|403|410|50[0234])\b|\bpage (?:not|cannot be) found\b|^\W*not found\b|^\W*access denied\b"
    r"|seite (?:wurde )?nicht gefunden|page (?:introuvable|non trouvée)|página no encontrada|pagina non trovata"
    r"|страница не найдена|页面不存在|ページが見つかりません",
    re.IGNORECASE,
)
_ROBOT = re.compile(
    r"^\W*just a moment\W*$|are you (?:a robot|human)|verify(?:ing)? (?:that )?you are (?:a )?human|\bcaptcha\b"
    r"|unusual traffic",
    re.IGNORECASE,
)
_SCRIPTED = re.compile(r"(?:enable|requires?|need|activate|turn on)\W+(?:to (?:enable|run) )?javascript", re.IGNORECASE)
_CONSENT_SIGNS = (
    re.compile(r"\bcookies?\b", re.IGNORECASE),
    re.compile(r"\b(?:consent|einwilligung|zustimm\w+|consentement|consentimiento|consenso)\b", re.IGNORECASE),
    re.compile(r"privacy|datenschutz|confidentialité|privacidad", re.IGNORECASE),
    re.compile(r"\b(?:accept|agree|akzeptieren|accepter|aceptar|accetta)\b", re.IGNORECASE),
)
_PAYMENT_TEXT = re.compile(
    r"(?:subscribe|sign in|log in|register)\b.{0,40}\b(?:to (?:continue|keep|read)|full (?:story|article))"
    r"|(?:continue|keep) reading\b.{0,60}\b(?:subscri\w+|account)|already a subscriber|(?:for|to) subscribers only"
    r"|jetzt weiterlesen|réservé aux abonnés|solo para suscriptores",
    re.IGNORECASE | re.DOTALL,
)
_NOT_FREE = re.compile(r"[\"']isAccessibleForFree[\"']\s*:\s*[\"']?false", re.IGNORECASE)


def obstacle_of(title: str, text: str, markup: str) -> Obstacle | None:
    """What stands in the place of a story on a page of which *text* was found; None for a text that may be one."""
    if count_words(text) >= _SUSPECT_WORDS:
        return None
    signs = {
        _ERROR: _ERROR_TITLE.search(title),
        _ROBOTS: _ROBOT.search(title) or _ROBOT.search(text),
        _CONSENT: sum(bool(sign.search(text)) for sign in _CONSENT_SIGNS) >= _SIGNS_OF_CONSENT,
        _PAYMENT: _PAYMENT_TEXT.search(text) or _NOT_FREE.search(markup),
        _SCRIPT: _SCRIPTED.search(text) or (len(text) < _NO_TEXT and "<script" in markup.lower()),
    }
    return next((obstacle for obstacle, found in signs.items() if found), None)
