// SPDX-License-Identifier: Apache-2.0
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const attributes = require('../lib/attributes.js');
const { HAND_OVER } = require('../lib/hand-over.js');
const kinds = require('../lib/kinds.js');
const members = require('../lib/members.js');
const text = require('../lib/text.js');

/** @typedef {import('../lib/facade').Package} Package */

/** A release that describes its structures. */
const DESCRIBED = owner(
  1100,
  `
const _T = "Thing";
const _TI = "ThingInput";
const _A = "Alpha";
const _Z = "Zeta";
const _N = "New";
var Thing$ = [3, n0, _T,
    0,
    [_Z, _A, _N],
    [0, 1, () => Other$], 1
];
var ThingInput$ = [3, n0, _TI, 0, [_A], [0]];
class ThingError extends ThingServiceException {
}
exports.Thing$ = Thing$;
exports.ThingError = ThingError;
`,
);

/** A release that has a function for each structure that is not passed on as it is. */
const LISTED = owner(
  700,
  `
var se_ThingInput = /* @__PURE__ */ __name((input, context) => {
  return (0, import_smithy_client.take)(input, {
    Alpha: []
  });
}, "se_ThingInput");
var de_Thing = /* @__PURE__ */ __name((output, context) => {
  return (0, import_smithy_client.take)(output, {
    Alpha: import_smithy_client.expectLong,
    Zeta: (_) => de_Zeta(_, context)
  });
}, "de_Thing");
var de_Odd = /* @__PURE__ */ __name((output, context) => {
  return new Odd(output);
}, "de_Odd");
`,
);

/** @type {import('../lib/types').Structure} */
const THING = { structure: 'Thing', members: { Alpha: 'integer', Zeta: 'string' } };

/**
 * What stands for an installed package.
 * @param {number} release
 * @param {string} content
 */
function owner(release, content) {
  return /** @type {Package} */ (/** @type {unknown} */ ({ release, text: () => content }));
}

/**
 * Asserts that something is left to a real client.
 * @param {() => unknown} run
 */
function isHandedOver(run) {
  assert.throws(run, (error) => error === HAND_OVER);
}

test('members are found in the text of what is installed, in its order', () => {
  assert.deepEqual(members.of(DESCRIBED, 'Thing', 'output'), ['Zeta', 'Alpha', 'New']);
  assert.deepEqual(members.of(LISTED, 'Thing', 'output'), ['Alpha', 'Zeta']);
  assert.deepEqual(members.of(LISTED, 'ThingInput', 'input'), ['Alpha']);
  assert.equal(members.of(LISTED, 'Nothing', 'output'), undefined);
  isHandedOver(() => members.of(DESCRIBED, 'Nothing', 'output'));
  isHandedOver(() => members.of(LISTED, 'Odd', 'output'));
});

test('documents are read as the release reads them', () => {
  const document = { Alpha: 1, Zeta: 'z', Unknown: 2 };
  assert.deepEqual(Object.entries(kinds.reader(DESCRIBED, THING)(document)), [
    ['Zeta', 'z'],
    ['Alpha', 1],
  ]);
  assert.deepEqual(Object.keys(kinds.reader(LISTED, THING)(document)), ['Alpha', 'Zeta']);
  const asItIs = kinds.reader(LISTED, { structure: 'Nothing', members: {} });
  assert.deepEqual(asItIs({ b: null, a: [1, null, { c: null }] }), { a: [1, {}] });
});

test('what is not known of an output is left to a real client', () => {
  const read = kinds.reader(DESCRIBED, THING);
  assert.deepEqual(read({ Alpha: null, New: undefined }), {});
  for (const document of [{ New: 1 }, { Alpha: '1' }, { Zeta: {} }, 'text', null, []]) {
    isHandedOver(() => read(document));
  }
  assert.equal(kinds.hasMore(DESCRIBED, THING), true);
  assert.equal(kinds.hasMore(LISTED, { list: THING }), false);
});

test('inputs have only what the release knows', () => {
  const write = kinds.writer(DESCRIBED, { structure: 'ThingInput', members: { Alpha: 'string', Zeta: 'string' } });
  assert.deepEqual(write({ Alpha: 'x', Zeta: undefined }), { Alpha: 'x' });
  for (const input of [{ Zeta: 'z' }, { Alpha: 5 }, { Alpha: null }, { toString: 'x' }, new Map()]) {
    isHandedOver(() => write(input));
  }
});

test('values of attributes go both ways', () => {
  const value = {
    M: { s: { S: 'x' }, n: { N: '1.5' }, l: { L: [{ NULL: true }, { BOOL: false }] }, ss: { SS: ['a'] } },
  };
  assert.deepEqual(attributes.read(attributes.write(value)), value);
  const bytes = new Uint8Array(Buffer.from('a part of it')).subarray(2, 6);
  assert.deepEqual(attributes.write({ BS: [bytes] }), { BS: ['cGFydA=='] });
  assert.deepEqual(attributes.read({ B: 'cGFydA==' }), { B: new Uint8Array(Buffer.from('part')) });
});

test('values that are none of the types are left to a real client', () => {
  const values = [
    null,
    {},
    { S: 5 },
    { X: 'a' },
    { S: 'a', N: '1' },
    { B: 'text' },
    { L: new Array(1) },
    { M: { a: 'b' } },
    { NS: [1] },
  ];
  for (const value of values) {
    isHandedOver(() => attributes.write(value));
  }
  isHandedOver(() => attributes.read({ B: 'not base64' }));
  isHandedOver(() => attributes.read({ M: JSON.parse('{"__proto__": {"S": "x"}}') }));
});

test('names of exports are found as Node finds them', () => {
  const described = text.names(DESCRIBED.text());
  assert.deepEqual(text.importable(DESCRIBED.text(), described), ['Thing$', 'ThingError']);
  const built =
    '\n__export(src_exports, {\n  A: () => A,\n  B: () => B\n});\n// Names:\n0 && (module.exports = {\n  A,\n  C\n});\n';
  assert.deepEqual(text.names(built), ['A', 'B']);
  assert.deepEqual(text.importable(built, ['A', 'B']), ['A', 'C']);
  assert.deepEqual([...text.extending(DESCRIBED.text(), 'ThingServiceException')], ['ThingError']);
  const older = '\nvar Other = class _Other extends sdk.ThingServiceException {\n};\nconst x = ThingServiceException ;\n';
  assert.deepEqual([...text.extending(older, 'ThingServiceException')], ['Other']);
  assert.equal(text.definitions(DESCRIBED.text()).get('Thing$')?.kind, 'list');
});
