// SPDX-License-Identifier: Apache-2.0
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { HAND_OVER } = require('../lib/hand-over.js');
const { request } = require('../lib/request.js');
const { commands } = require('../lib/s3.js');

/** @typedef {import('../lib/facade').Package} Package */

const NOW = /** @type {Package} */ ({ release: 1100 });
const BEFORE = /** @type {Package} */ ({ release: 600 });

/**
 * The message for a command's input.
 * @param {string} command
 * @param {object} input
 * @param {Package} owner
 */
function of(command, input, owner = NOW) {
  const { target, fields, body } = request(owner, commands[`${command}Command`], { Bucket: 'bucket', ...input });
  return { target, fields: fields.split('\0').slice(0, -1), body: body && Buffer.from(body).toString() };
}

test('keys are encoded as SigV4 has it', () => {
  const { target } = of('GetObject', { Key: "a b/ü/(x)!'*~" });
  assert.equal(target, '/bucket/a%20b/%C3%BC/%28x%29%21%27%2A~?x-id=GetObject');
});

test('parameters go where they belong', () => {
  const { target, fields } = of('GetObject', {
    Key: 'k',
    Range: 'bytes=0-1',
    PartNumber: 2,
    IfModifiedSince: new Date(0),
    VersionId: undefined,
  });
  assert.equal(target, '/bucket/k?x-id=GetObject&partNumber=2');
  assert.deepEqual(fields, [
    'range',
    'bytes=0-1',
    'if-modified-since',
    'Thu, 01 Jan 1970 00:00:00 GMT',
    'x-amz-checksum-mode',
    'ENABLED',
  ]);
  assert.equal(
    of('ListObjectsV2', { Prefix: 'a/&', FetchOwner: true }).target,
    '/bucket/?list-type=2&prefix=a%2F%26&fetch-owner=true',
  );
});

test('bodies have a type, and a checksum as the release makes it', () => {
  assert.deepEqual(of('PutObject', { Key: 'k', Body: 'hello' }), {
    target: '/bucket/k?x-id=PutObject',
    fields: [
      'content-type',
      'application/octet-stream',
      'x-amz-sdk-checksum-algorithm',
      'CRC32',
      'x-amz-checksum-crc32',
      'NhCmhg==',
    ],
    body: 'hello',
  });
  const before = of(
    'PutObject',
    { Key: 'k', Body: new Uint8Array([65]), ContentType: 'text/plain', Metadata: { One: '1' } },
    BEFORE,
  );
  assert.deepEqual(before.fields, ['content-type', 'text/plain', 'x-amz-meta-one', '1']);
});

test('objects to delete are named in a document', () => {
  const { target, fields, body } = of('DeleteObjects', {
    Delete: { Objects: [{ Key: 'a & <b>' }, { Key: 'ü', VersionId: '1' }], Quiet: true },
  });
  assert.equal(target, '/bucket/?delete=');
  assert.equal(fields[1], 'application/xml');
  assert.match(
    body ?? '',
    /<Object><Key>a &#38; &#60;b&#62;<\/Key><\/Object><Object><Key>ü<\/Key><VersionId>1<\/VersionId><\/Object><Quiet>true<\/Quiet><\/Delete>$/,
  );
});

test('what is not plain is left to a real client', () => {
  /** @type {[string, object, Package?][]} */
  const inputs = [
    ['GetObject', {}],
    ['GetObject', { Key: '' }],
    ['GetObject', { Key: 5 }],
    ['GetObject', { Key: '\ud800' }],
    ['GetObject', { Key: 'k', Bucket: 'Not one' }],
    ['GetObject', { Key: 'k', Bucket: 'of--x-s3' }],
    ['GetObject', { Key: 'k', Unknown: 1 }],
    ['GetObject', { Key: 'k', toString: 'x' }],
    ['GetObject', { Key: 'k', Range: null }],
    ['GetObject', { Key: 'k', Range: 'a\nb' }],
    ['GetObject', { Key: 'k', PartNumber: '1' }],
    ['GetObject', { Key: 'k', IfModifiedSince: new Date(NaN) }],
    ['PutObject', { Key: 'k' }],
    ['PutObject', { Key: 'k', Body: {} }],
    ['PutObject', { Key: 'k', Body: 'x', ContentLength: 2 }],
    ['PutObject', { Key: 'k', Body: '', Metadata: { 'a b': 'x' } }],
    ['PutObject', { Key: 'k', Body: '', Metadata: { a: 'x', A: 'y' } }],
    ['PutObject', { Key: 'k', Body: '', ChecksumAlgorithm: 'SHA256' }],
    ['PutObject', { Key: 'k', Body: '', ChecksumAlgorithm: 'CRC32' }, BEFORE],
    ['PutObject', { Key: 'k', Body: '', IfNoneMatch: '*' }, BEFORE],
    ['CopyObject', { Key: 'k' }],
    ['DeleteObjects', {}],
    ['DeleteObjects', { Delete: { Objects: [{ Key: 'k', Else: 1 }] } }],
    ['DeleteObjects', { Delete: { Objects: [{ Key: '\n' }] } }],
  ];
  for (const [command, input, owner] of inputs) {
    assert.throws(
      () => of(command, input, owner),
      (error) => error === HAND_OVER,
      `${command} ${JSON.stringify(input)}`,
    );
  }
});
