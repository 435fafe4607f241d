// SPDX-License-Identifier: Apache-2.0
'use strict';

/**
 * Errors of services that answer in JSON: those after which it is certain that a real client does not make the call again, and what it
 * makes of them. All others are left to a real client.
 */

const calls = require('./calls.js');
const dialect = require('./dialect.js');
const { hasClass, isCalled, textOf } = require('./error-classes.js');
const errors = require('./errors.js');
const { HAND_OVER } = require('./hand-over.js');
const kinds = require('./kinds.js');
const members = require('./members.js');
const values = require('./values.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').Answer} Answer */
/** @typedef {import('./types').JsonKind} JsonKind */
/** @typedef {import('./types').Operation} Operation */

/**
 * @typedef {object} Plan how a release makes errors of a name
 * @property {boolean} isKnown whether it has a class for them
 * @property {Record<string, (value: any) => unknown>} own how the members are read that the class has of its own
 * @property {boolean} isTold whether the class is told the message
 */

/** A service that had another protocol says in this header what it called an error there, and whose fault it is. */
const FORMER = 'x-amzn-query-error';

/** Where some releases look for an error's name, too. */
const CODE = /^code$/i;

/** A member that a class of errors has of its own. */
const OWN = /\bthis\.(\w+) = opts\.\1;/g;

/**
 * The error that an answer is.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {Answer} answer
 * @param {string} protocol the SDK's class that reads such answers
 */
async function read(owner, operation, answer, protocol) {
  const data = await answer.whole();
  const headers = answer.headers();
  const fields = parse(data);
  const name = nameOf(headers['x-amzn-errortype'] ?? fields['__type'], fields['__type']);
  const plan = planOf(owner, name, protocol);
  const message = messageOf(fields);
  const others = othersOf(fields, Object.keys(plan.own));
  const isLast = dialect.of(owner).isListed || !plan.isKnown;
  const all = isLast ? { ...others, message } : { message, ...others };
  return errors.make(owner, operation, answer, {
    name,
    message,
    isKnown: plan.isKnown,
    isTold: plan.isTold,
    own: ownOf(plan.own, fields),
    members: owner.service.isCompatible ? compatible(owner, name, all, headers) : all,
  });
}

/**
 * How errors of a name are made.
 * @param {Package} owner
 * @param {string} name
 * @param {string} protocol
 * @returns {Plan}
 */
function planOf(owner, name, protocol) {
  const { refusals = {} } = owner.service;
  const known = Object.hasOwn(refusals, name) ? /** @type {Record<string, JsonKind>} */ (refusals[name]) : values.refuse();
  const { plans } = dialect.of(owner);
  let plan = /** @type {Plan | null | undefined} */ (plans.get(known));
  if (plan === undefined) {
    plan = makePlan(owner, name, protocol, known);
    plans.set(known, plan);
  }
  return plan ?? values.refuse();
}

/**
 * @param {Package} owner
 * @param {string} name
 * @param {string} protocol
 * @param {Record<string, JsonKind>} known members that a class may have of its own
 * @returns {Plan | null} null if only a real client knows how
 */
function makePlan(owner, name, protocol, known) {
  const way = dialect.of(owner);
  try {
    if (!way.isListed && !way.describesErrors(protocol)) {
      return null;
    }
    if (!hasClass(owner, name)) {
      return { isKnown: false, own: {}, isTold: false };
    }
    const names = [...textOf(owner, name).matchAll(OWN)].map(([, member]) => /** @type {string} */ (member));
    const own = names
      .filter((member) => member !== 'Message')
      .map((member) => [member, kinds.reader(owner, (Object.hasOwn(known, member) && known[member]) || values.refuse())]);
    return { isKnown: true, own: Object.fromEntries(own), isTold: way.isListed && isTold(owner, name) };
  } catch (problem) {
    if (problem !== HAND_OVER) {
      throw problem;
    }
    return null;
  }
}

/**
 * What a document says.
 * @param {Buffer} data
 */
function parse(data) {
  try {
    return values.object(JSON.parse(data.toString()));
  } catch {
    throw HAND_OVER;
  }
}

/**
 * The name of an error, in whichever of two places a release looks for it.
 * @param {any} first
 * @param {any} second
 */
function nameOf(first, second = first) {
  const name = plain(first);
  return name === plain(second) ? name : values.refuse();
}

/**
 * A name without what comes before it and after it.
 * @param {any} text
 */
function plain(text) {
  const [name = ''] = values.text(text).split(/[,:]/, 1);
  return name.includes('#') ? /** @type {string} */ (name.split('#')[1]) : name;
}

/**
 * @param {Record<string, any>} fields
 * @returns {string}
 */
function messageOf({ message, Message }) {
  const said = message ?? Message;
  const isCertain = typeof said === 'string' && said !== '' && (Message === undefined || Message === said);
  return isCertain ? said : values.refuse();
}

/**
 * The values of the members that a class has of its own.
 * @param {Plan['own']} own
 * @param {Record<string, any>} fields
 */
function ownOf(own, fields) {
  const found = Object.entries(own).map(([name, convert]) => [
    name,
    Object.hasOwn(fields, name) ? convert(fields[name]) : undefined,
  ]);
  return Object.fromEntries(found);
}

/**
 * What else a document says, which an error gets as it is.
 * @param {Record<string, any>} fields
 * @param {string[]} own
 */
function othersOf(fields, own) {
  const others = Object.entries(fields).filter(([name]) => name !== 'Message' && !own.includes(name));
  return Object.fromEntries(
    others.map(([name, value]) => [errors.isFree(name) && !CODE.test(name) ? name : values.refuse(), values.text(value)]),
  );
}

/**
 * What an error of a service has that had another protocol.
 * @param {Package} owner
 * @param {string} name
 * @param {Record<string, unknown>} fields what the document says, with the message
 * @param {Record<string, string>} headers
 */
function compatible(owner, name, fields, headers) {
  const [Code = '', Type = '', ...more] = (headers[FORMER] ?? '').split(';');
  const names = Object.keys(fields).filter((each) => each !== 'message' && each !== '__type');
  if (Code === '' || Type === '' || more.length > 0 || names.length > 0) {
    throw HAND_OVER;
  }
  const { isListed, isCompatible, findsFormer } = dialect.of(owner);
  if (isListed) {
    return findsFormer ? values.refuse() : { ...fields, Code, Type };
  }
  if (!isCompatible || !(Code === name || isCalled(owner, name, Code))) {
    throw HAND_OVER;
  }
  const { message, ...others } = fields;
  const described = { message, Error: { Code, Type, Message: message }, Type, Code, ...others };
  const { requestId } = calls.metadata(0, headers);
  return requestId ? { ...described, RequestId: requestId } : described;
}

/**
 * Whether a release that has a function for each error tells its class the message, so that it is one from the beginning.
 * @param {Package} owner
 * @param {string} name
 */
function isTold(owner, name) {
  const text = owner.text();
  const begin = text.indexOf(`\nvar de_${name}Res = `);
  if (begin < 0) {
    throw HAND_OVER;
  }
  const body = text.slice(begin, text.indexOf('\n}, "', begin));
  if (body.includes('_json)(body)') || /^ {4}message: /m.test(body)) {
    return true;
  }
  return body.includes(`de_${name}(body`) && (members.of(owner, name, 'output')?.includes('message') ?? values.refuse());
}

module.exports = { read };
