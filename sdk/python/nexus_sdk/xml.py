# SPDX-License-Identifier: Apache-2.0
"""XML documents as S3 writes them, by the parser that is part of Python and costs nothing to load."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def parse(document: bytes) -> "tuple[str, Any]":
    """The root's name and content. Content is a text, or a list of names and contents if there are elements in it.

    Raises ValueError if it is not XML.
    """
    import pyexpat

    stack: list[list[tuple[str, Any]]] = [[]]
    texts: list[list[str]] = [[]]

    def start(name: str, _attributes: "dict[str, str]") -> None:
        stack.append([])
        texts.append([])

    def end(name: str) -> None:
        children, text = stack.pop(), texts.pop()
        stack[-1].append((name.rpartition(":")[2], children or "".join(text)))

    def data(text: str) -> None:
        texts[-1].append(text)

    parser = pyexpat.ParserCreate(None, None)
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    try:
        parser.Parse(document, True)
    except (LookupError, pyexpat.ExpatError) as error:
        raise ValueError(str(error)) from None
    return stack[0][0]
