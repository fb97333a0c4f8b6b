"""The border between settings and rules: rules know no settings, so this module alone translates the one into the other."""

from config.environment import Environment
from config.sections import MessageSettings
from processing.verdicts.terms import Rules
from rules.characters.unsupported import UnsupportedRule
from rules.messages import DEFAULT_FOOTERS
from rules.templates import Language, Template
from rules.values import ValueRule


def unsupported_rule(settings: MessageSettings) -> UnsupportedRule:
    """Which characters are refused, in templates and in values."""
    return UnsupportedRule(tier3=settings.refuse_typography, emoji=settings.refuse_emoji)


def value_rule(settings: MessageSettings) -> ValueRule:
    """Which values are refused."""
    return ValueRule(
        unsupported_rule(settings),
        spreadsheet_errors=settings.refuse_spreadsheet_errors,
        markup=settings.refuse_markup,
    )


def footers_of(settings: MessageSettings) -> dict[Language, str]:
    """The deployment's footer for each language."""
    chosen = {
        Language.ENGLISH: settings.footer_english,
        Language.CHINESE: settings.footer_chinese,
        Language.MALAY: settings.footer_malay,
        Language.TAMIL: settings.footer_tamil,
    }
    return {language: chosen[language] or DEFAULT_FOOTERS[language] for language in Language}


def make_rules(template: Template, environment: Environment, settings: MessageSettings) -> Rules:
    """The rules by which an upload of a campaign with that template is judged in that environment."""
    return Rules(
        template=template,
        environment=environment,
        footers=footers_of(settings),
        values=value_rule(settings),
    )
