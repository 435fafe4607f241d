// SPDX-License-Identifier: Apache-2.0
'use strict';

/** XML as services write it: elements and text. Whatever else there is in a document is for a real client. */

const { HAND_OVER } = require('./hand-over.js');

/** @typedef {import('./types').Content} Content */

const TOKEN = /<\?[^>]*\?>|<(\/?)([A-Za-z_][\w.:-]*)(?:\s[^<>]*?)?(\/?)>|([^<]+)/y;
/** @type {Record<string, string>} */
const ENTITIES = { amp: '&', apos: "'", gt: '>', lt: '<', quot: '"' };

/**
 * The name and the content of a document's root.
 * @param {string} text
 * @returns {[name: string, content: Content]}
 */
function parse(text) {
  /** @type {{ name: string, children: Map<string, Content[]>, text: string }[]} */
  const open = [{ name: '', children: new Map(), text: '' }];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const token = TOKEN.exec(text);
    if (token === null) {
      throw HAND_OVER;
    }
    const [, closing, name, isEmpty, between] = token;
    const top = last(open);
    if (between !== undefined) {
      top.text += between;
    } else if (name !== undefined && !closing) {
      open.push({ name, children: new Map(), text: '' });
    }
    if (name !== undefined && (closing || isEmpty)) {
      close(open, name);
    }
  }
  const [root] = [...last(open).children];
  if (open.length > 1 || root === undefined) {
    throw HAND_OVER;
  }
  return [root[0], /** @type {Content} */ (root[1][0])];
}

/**
 * @template T
 * @param {T[]} list
 * @returns {T}
 */
function last(list) {
  return /** @type {T} */ (list.at(-1));
}

/**
 * Ends the element that was opened last.
 * @param {{ name: string, children: Map<string, Content[]>, text: string }[]} open
 * @param {string} name
 */
function close(open, name) {
  const element = last(open);
  const hasText = element.text.trim() !== '';
  if (element.name !== name || open.length < 2 || (hasText && element.children.size > 0)) {
    throw HAND_OVER;
  }
  open.pop();
  const siblings = last(open).children;
  const content = element.children.size > 0 ? element.children : leaf(element.text);
  const present = siblings.get(name);
  if (present) {
    present.push(content);
  } else {
    siblings.set(name, [content]);
  }
}

/**
 * @param {string} text
 */
function leaf(text) {
  // What is between elements, or lines that are only there to look at.
  if (text.includes('\n') && text.trim() === '') {
    return '';
  }
  return text.includes('&') ? text.replace(/&([^;]*);?/g, (_, name) => entity(name)) : text;
}

/**
 * @param {string} name
 */
function entity(name) {
  const known = Object.hasOwn(ENTITIES, name) ? ENTITIES[name] : undefined;
  const code = /^#(?:x([0-9A-Fa-f]{1,6})|(\d{1,7}))$/.exec(name);
  if (known !== undefined) {
    return known;
  }
  if (code === null) {
    throw HAND_OVER;
  }
  return String.fromCodePoint(code[1] ? Number.parseInt(code[1], 16) : Number(code[2]));
}

module.exports = { parse };
