// SPDX-License-Identifier: Apache-2.0
'use strict';

/** The protocol of services that take a form and answer with a document in XML. */

const calls = require('./calls.js');
const dialect = require('./dialect.js');
const { HAND_OVER } = require('./hand-over.js');
const kinds = require('./kinds.js');
const members = require('./members.js');
const { encoded } = require('./uri.js');
const values = require('./values.js');
const xml = require('./xml.js');

/** @typedef {import('./facade').Package} Package */
/** @typedef {import('./types').JsonKind} JsonKind */
/** @typedef {import('./types').QueryOperation} Operation */
/** @typedef {import('./types').Answer} Answer */
/** @typedef {import('./types').Content} Content */

/**
 * @typedef {object} Plan how a release makes outputs of an operation
 * @property {boolean} isLast whether metadata are at the end
 * @property {Map<string, string[]>} members those of structures, in order
 */

/**
 * The message for a call.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {any} input
 */
function request(owner, operation, input) {
  // Throws if it is not known how this release builds its output.
  planOf(owner, operation);
  const fields = [`Action=${operation.name}`, `Version=${owner.service.query}`];
  write(fields, '', operation.input, input);
  return {
    target: '/',
    fields: 'content-type\0application/x-www-form-urlencoded\0',
    body: Buffer.from(fields.join('&')),
  };
}

/**
 * Adds a value to a form.
 * @param {string[]} fields
 * @param {string} name
 * @param {JsonKind} kind
 * @param {any} value
 */
function write(fields, name, kind, value) {
  if (typeof kind === 'string') {
    const text = kind === 'blob' ? values.encoded(value) : values.text(value);
    fields.push(`${name}=${encoded(text)}`);
  } else if ('list' in kind) {
    // An empty one is not written as those with something in them are.
    const items = values.each(value, (item) => item);
    if (items.length === 0) {
      throw HAND_OVER;
    }
    items.forEach((item, at) => write(fields, `${name}.member.${at + 1}`, kind.list, item));
  } else if ('map' in kind) {
    Object.entries(values.object(value)).forEach(([key, item], at) => {
      fields.push(`${name}.entry.${at + 1}.Name=${encoded(key)}`);
      write(fields, `${name}.entry.${at + 1}.Value`, kind.map, item);
    });
  } else {
    for (const [member, item] of Object.entries(values.object(value))) {
      if (item !== undefined) {
        const known = Object.hasOwn(kind.members, member) ? kind.members[member] : values.refuse();
        write(fields, name === '' ? member : `${name}.${member}`, /** @type {JsonKind} */ (known), item);
      }
    }
  }
}

/**
 * The output that an answer is.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {Answer} answer
 */
async function output(owner, operation, answer) {
  const plan = planOf(owner, operation);
  const data = await answer.whole();
  const content = calls.certain(operation, () => {
    const [, root] = xml.parse(data.toString());
    return read(plan, operation.output, child(root, `${operation.name}Result`) ?? values.refuse());
  });
  const $metadata = calls.metadata(answer.status, answer.headers());
  return plan.isLast ? { ...content, $metadata } : { $metadata, ...content };
}

/**
 * @param {Package} owner
 * @param {Operation} operation
 * @returns {Plan}
 */
function planOf(owner, operation) {
  const { plans, isListed } = dialect.of(owner);
  let plan = /** @type {Plan | undefined} */ (plans.get(operation));
  if (plan === undefined) {
    // What a release may be told besides is not known here.
    if (!isListed && kinds.hasMore(owner, operation.output)) {
      throw HAND_OVER;
    }
    plan = { isLast: dialect.of(owner).endsWithMetadata, members: new Map() };
    order(owner, operation.output, plan.members);
    plans.set(operation, plan);
  }
  return plan;
}

/**
 * Finds the members of structures, in the order that a release has.
 * @param {Package} owner
 * @param {JsonKind} kind
 * @param {Map<string, string[]>} found
 */
function order(owner, kind, found) {
  if (typeof kind === 'string' || 'map' in kind) {
    return;
  }
  if ('list' in kind) {
    order(owner, kind.list, found);
    return;
  }
  const { structure, members: known } = kind;
  const names = dialect.of(owner).isListed ? undefined : members.of(owner, structure, 'output');
  found.set(structure, names ?? Object.keys(known));
  Object.values(known).forEach((each) => order(owner, each, found));
}

/**
 * What an element holds, as this release has it.
 * @param {Plan} plan
 * @param {JsonKind} kind
 * @param {Content} content
 * @returns {any}
 */
function read(plan, kind, content) {
  if (typeof kind === 'string') {
    if (typeof content !== 'string' || (kind === 'boolean' && content !== 'true' && content !== 'false')) {
      throw HAND_OVER;
    }
    return kind === 'boolean' ? content === 'true' : content;
  }
  if ('list' in kind) {
    const items = content === '' ? [] : typeof content === 'string' ? undefined : content.get('member');
    return (items ?? values.refuse()).map((item) => read(plan, kind.list, item));
  }
  if ('map' in kind) {
    throw HAND_OVER;
  }
  /** @type {Record<string, any>} */
  const result = {};
  for (const name of plan.members.get(kind.structure) ?? []) {
    const value = child(content, name);
    if (value !== undefined) {
      result[name] = read(plan, /** @type {JsonKind} */ (kind.members[name]), value);
    }
  }
  return result;
}

/**
 * The element of this name within another, or undefined.
 * @param {Content} content
 * @param {string} name
 */
function child(content, name) {
  if (typeof content === 'string') {
    return content.trim() === '' ? undefined : values.refuse();
  }
  const [first, ...others] = content.get(name) ?? [];
  return others.length === 0 ? first : values.refuse();
}

/**
 * The error that an answer is.
 * @param {Package} owner
 * @param {Operation} operation
 * @param {Answer} answer
 */
function error(owner, operation, answer) {
  const { readForm } = /** @type {typeof import('./xml-errors')} */ (require('./xml-errors.js'));
  return readForm(owner, operation, answer);
}

module.exports = { error, output, request };
