// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Which members a release knows of a structure, and in what order: found in the text of what is installed. */

const dialect = require('./dialect.js');
const { HAND_OVER } = require('./hand-over.js');

/** @typedef {import('./facade').Package} Package */

const INSTRUCTION = /^ {4}(\w+): /gm;
const CONSTANT = '\nconst ';
/** What comes before the name of a structure's schema, and after it. */
const STRUCTURE = / = \[3, \w+$/;
const STRUCTURE_LENGTH = 16;
const MEMBERS = /, \w+,\s*\d+,\s*\[([\w,\s]*)\]/y;

/**
 * The members of a structure; undefined if a release passes on whatever it holds.
 * @param {Package} owner
 * @param {string} name
 * @param {'input' | 'output'} where
 * @returns {string[] | undefined}
 */
function of(owner, name, where) {
  const text = owner.text();
  return dialect.of(owner).isListed ? ofFunction(text, name, where) : ofSchema(text, name);
}

/**
 * Those that a function for the structure names, in releases that have one for each that is not passed on as it is.
 * @param {string} text
 * @param {string} name
 * @param {'input' | 'output'} where
 */
function ofFunction(text, name, where) {
  const begin = text.indexOf(`\nvar ${where === 'input' ? 'se' : 'de'}_${name} = `);
  if (begin < 0) {
    return undefined;
  }
  const body = text.slice(begin, text.indexOf('\n}, "', begin));
  // One that does not list members builds its result in a way of its own.
  if (!/\btake\)?\((?:input|output), \{$/m.test(body)) {
    throw HAND_OVER;
  }
  return [...body.matchAll(INSTRUCTION)].map(([, member]) => /** @type {string} */ (member));
}

/**
 * Those of a schema: `… = [3, namespace, name, traits, [members], …]`, where names are constants. Texts are long, and so searched by
 * plain strings.
 * @param {string} text
 * @param {string} name
 */
function ofSchema(text, name) {
  for (const place of places(text, ` = "${name}";\n`)) {
    const constant = text.slice(text.lastIndexOf('\n', place) + CONSTANT.length, place);
    for (const use of places(text, `, ${constant},`)) {
      MEMBERS.lastIndex = use;
      const [, list] = STRUCTURE.test(text.slice(use - STRUCTURE_LENGTH, use)) ? (MEMBERS.exec(text) ?? []) : [];
      if (list !== undefined) {
        const found = list.split(',').map((each) => each.trim());
        return found.filter((each) => each !== '').map((each) => constantOf(text, each));
      }
    }
  }
  throw HAND_OVER;
}

/**
 * Where a string is in a text.
 * @param {string} text
 * @param {string} string
 */
function* places(text, string) {
  for (let place = text.indexOf(string); place >= 0; place = text.indexOf(string, place + 1)) {
    yield place;
  }
}

/**
 * @param {string} text
 * @param {string} name
 */
function constantOf(text, name) {
  const begin = `${CONSTANT}${name} = "`;
  const place = text.indexOf(begin);
  if (place < 0) {
    throw HAND_OVER;
  }
  return text.slice(place + begin.length, text.indexOf('"', place + begin.length));
}

module.exports = { of };
