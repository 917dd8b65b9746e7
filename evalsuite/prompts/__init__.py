"""Rows → messages."""

from evalsuite.prompts.messages import ChatPrompt, Message, Prompt, TextPrompt
from evalsuite.prompts.render import render_continuations, render_gold, render_prompt, render_target

__all__ = [
    "ChatPrompt",
    "Message",
    "Prompt",
    "TextPrompt",
    "render_continuations",
    "render_gold",
    "render_prompt",
    "render_target",
]
