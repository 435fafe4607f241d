// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Which members a release knows of a structure, and in what order: found in the text of what is installed. */

const dialect = require('./dialect.js');
const { HAND_OVER } = require('./hand-over.js');

/** @typedef {import('./facade').Package} Package */

const INSTRUCTION = /^ {4}(\w+): /gm;

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
 * Those of a schema: `[3, namespace, name, traits, [members], …]`, where names are constants.
 * @param {string} text
 * @param {string} name
 */
function ofSchema(text, name) {
  for (const [, constant] of text.matchAll(new RegExp(`^const (_\\w+) = "${name}";$`, 'gm'))) {
    const found = new RegExp(`= \\[3, \\w+, ${constant},\\s*\\d+,\\s*\\[([\\w,\\s]*)\\]`).exec(text);
    if (found?.[1] !== undefined) {
      return found[1]
        .split(',')
        .map((each) => each.trim())
        .filter((each) => each !== '')
        .map((each) => constantOf(text, each));
    }
  }
  throw HAND_OVER;
}

/**
 * @param {string} text
 * @param {string} name
 */
function constantOf(text, name) {
  const [, value] = new RegExp(`^const ${name} = "(\\w+)";$`, 'm').exec(text) ?? [];
  if (value === undefined) {
    throw HAND_OVER;
  }
  return value;
}

module.exports = { of };
