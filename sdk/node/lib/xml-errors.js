// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Errors of services that answer in XML. */

const dialect = require('./dialect.js');
const { hasClass, isCalled, textOf } = require('./error-classes.js');
const errors = require('./errors.js');
const { HAND_OVER } = require('./hand-over.js');
const xml = require('./xml.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').RestOperation} Operation */
/** @typedef {import('./types').Answer} Answer */

/** Errors of status 400 after which real clients do not make a call again. */
const REFUSALS = new Set([
  'BadDigest',
  'EntityTooSmall',
  'InvalidArgument',
  'InvalidPart',
  'InvalidPartOrder',
  'InvalidRequest',
  'MalformedXML',
]);

/** What a document about an error in a form begins with. */
const ROOT = /^(?:<\?xml[^<>]*\?>\s*)?<ErrorResponse xmlns="([^"&<>\s]+)">/;
/** What else a document may have that an SDK reads in a way of its own. */
const OTHER = /<\w+\s|>[^\S\n]+<|<!|<\?|&#|\r/;
const ID = /^[\w-]+$/;
const FIELDS = new Set(['Type', 'Code', 'Message', 'message']);

/**
 * The error that an answer is.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {Answer} answer
 */
async function read(owner, operation, answer) {
  const data = await answer.whole();
  /** @type {Record<string, string>} */
  const fields = {};
  if (data.length > 0) {
    const [name, content] = xml.parse(data.toString());
    if (name !== 'Error' || typeof content === 'string') {
      throw HAND_OVER;
    }
    for (const [field, [value, ...others]] of content) {
      if (typeof value !== 'string' || others.length > 0 || !errors.isFree(field)) {
        throw HAND_OVER;
      }
      fields[field] = value;
    }
  }
  if (answer.status === 400 && !(operation.isFinal && REFUSALS.has(fields['Code'] ?? ''))) {
    throw HAND_OVER;
  }
  const code = fields['Code'] ?? (answer.status === 404 ? 'NotFound' : undefined);
  return errors.make(owner, operation, answer, describe(owner, answer.status, code, fields));
}

/**
 * What a release makes an error of.
 * @param {Package} owner
 * @param {number} status
 * @param {string | undefined} code
 * @param {Record<string, string>} fields what the service says of it
 * @returns {import('./errors').Description}
 */
function describe(owner, status, code, { message: said, Message = '', ...others }) {
  const way = dialect.of(owner);
  const isListed = way.order === 'listed';
  const isKnown = code !== undefined && hasClass(owner, code);
  const message = said || Message || (isKnown && !isListed ? way.unsaid : 'UnknownError');
  return {
    name: code ?? (isListed ? String(status) : 'Unknown'),
    isKnown,
    message,
    members: isListed || !isKnown ? { ...others, message } : { message, ...others },
    requestId: isListed ? undefined : others['RequestId'],
  };
}

/**
 * The error that an answer to a form is.
 * @param {Package} owner
 * @param {import('./types').Operation} operation
 * @param {Answer} answer
 */
async function readForm(owner, operation, answer) {
  const text = (await answer.whole()).toString();
  const [, xmlns] = ROOT.exec(text) ?? [];
  const [, content] = xml.parse(text);
  // Text between elements, and what they say in other ways, would be in the error.
  if (xmlns === undefined || typeof content === 'string' || OTHER.test(text.replace(ROOT, ''))) {
    throw HAND_OVER;
  }
  const { Error: [said = '', ...more] = [], RequestId: [RequestId = '', ...again] = [], ...rest } = Object.fromEntries(content);
  const isPlain = typeof RequestId === 'string' && ID.test(RequestId);
  if (!isPlain || more.length > 0 || again.length > 0 || Object.keys(rest).length > 0) {
    throw HAND_OVER;
  }
  const fields = plain(said);
  const { Type, Code, Message } = fields;
  const name = `${Code}Exception`;
  if (!isRefusal(owner, name, Code) || !Type || !Message?.trim()) {
    throw HAND_OVER;
  }
  const around = { RequestId, xmlns };
  const { isListed } = dialect.of(owner);
  return errors.make(owner, operation, answer, {
    name,
    isKnown: true,
    message: Message,
    isTold: isListed,
    members: isListed
      ? { Error: { ...fields, message: Message }, ...around }
      : { message: Message, Type, Code, Error: { Type, Code, Message }, ...around },
  });
}

/**
 * Fields that are texts: type, code and message.
 * @param {import('./types').Content} content
 */
function plain(content) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const [field, [value, ...others]] of typeof content === 'string' ? [] : content) {
    if (!FIELDS.has(field) || typeof value !== 'string' || others.length > 0) {
      throw HAND_OVER;
    }
    fields[field] = value;
  }
  if (fields['message'] !== undefined && fields['message'] !== fields['Message']) {
    throw HAND_OVER;
  }
  return fields;
}

/**
 * Whether an error is one after which no real client makes a call again, and which can be made here.
 * @param {Package} owner
 * @param {string} name of its class
 * @param {string | undefined} code
 */
function isRefusal(owner, name, code) {
  if (!code || !Object.hasOwn(owner.service.refusals ?? {}, code) || !hasClass(owner, name)) {
    return false;
  }
  // A class that takes more than the message.
  if (/\bthis\.\w+ = opts\./.test(textOf(owner, name))) {
    return false;
  }
  const way = dialect.of(owner);
  if (!way.isListed) {
    return way.describesErrors('AwsQueryProtocol') && isCalled(owner, name, code);
  }
  const text = owner.text();
  const begin = text.indexOf(`\nvar de_${name} = `);
  return (
    new RegExp(`case "${code}":\\s+case "[\\w.]+#${name}":`).test(text) &&
    /^(?:const|var) _m = "message";/m.test(text) &&
    text.slice(begin, text.indexOf('\n}, "', begin)).includes('contents[_m] = ')
  );
}

module.exports = { read, readForm };
