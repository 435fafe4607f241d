// SPDX-License-Identifier: Apache-2.0
'use strict';

const { HAND_OVER } = require('./hand-over.js');

/**
 * @param {string} text
 */
function escaped(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/**
 * A part of a path or a query, encoded as signatures have it.
 * @param {any} value
 */
function encoded(value) {
  if (typeof value !== 'string') {
    throw HAND_OVER;
  }
  try {
    return escaped(value);
  } catch {
    // Half of a character.
    throw HAND_OVER;
  }
}

module.exports = { encoded, escaped };
