# SPDX-License-Identifier: Apache-2.0
"""XML documents as S3 writes them, by the parser that is part of Python and costs nothing to load."""


def parse(document):
    """The root's name and content. Content is a text, or a list of names and contents if there are elements in it.

    Raises ValueError if it is not XML.
    """
    import pyexpat

    stack = [[]]
    texts = [[]]

    def start(name, _attributes):
        stack.append([])
        texts.append([])

    def end(name):
        children, text = stack.pop(), texts.pop()
        stack[-1].append((name.rpartition(":")[2], children or "".join(text)))

    def data(text):
        texts[-1].append(text)

    parser = pyexpat.ParserCreate(None, None)
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    try:
        parser.Parse(document, True)
    except pyexpat.ExpatError as error:
        raise ValueError(str(error)) from None
    return stack[0][0]
