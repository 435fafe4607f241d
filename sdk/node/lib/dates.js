// SPDX-License-Identifier: Apache-2.0
'use strict';

const { HAND_OVER } = require('./hand-over.js');

const IN_HEADER =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/;
const IN_DOCUMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z$/;

/**
 * A time as headers have it: `Wed, 21 Oct 2015 07:28:00 GMT`.
 * @param {string} text
 */
function ofHeader(text) {
  return parsed(IN_HEADER, text);
}

/**
 * A time as documents have it: `2015-10-21T07:28:00.000Z`.
 * @param {string} text
 */
function ofDocument(text) {
  return parsed(IN_DOCUMENT, text);
}

/**
 * @param {RegExp} form
 * @param {string} text
 */
function parsed(form, text) {
  const date = new Date(text);
  if (!form.test(text) || Number.isNaN(date.getTime())) {
    throw HAND_OVER;
  }
  return date;
}

module.exports = { ofDocument, ofHeader };
