// SPDX-License-Identifier: Apache-2.0
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');

const { Crc32 } = require('../lib/crc32.js');
const { Crc64 } = require('../lib/crc64.js');
const dates = require('../lib/dates.js');
const documents = require('../lib/documents.js');
const { HAND_OVER } = require('../lib/hand-over.js');
const xml = require('../lib/xml.js');

/**
 * Asserts that something is left to a real client.
 * @param {() => unknown} run
 */
function isHandedOver(run) {
  assert.throws(run, (error) => error === HAND_OVER);
}

test('XML is read as elements and text', () => {
  const [name, content] = xml.parse(
    '<?xml version="1.0"?>\n<A xmlns="x">\n <B>1 &lt; 2 &#x26; &#252;</B><C/><B> kept </B>\n</A>',
  );
  assert.equal(name, 'A');
  assert.deepEqual(
    content,
    new Map([
      ['B', ['1 < 2 & ü', ' kept ']],
      ['C', ['']],
    ]),
  );
});

test('XML that services do not write is left to a real client', () => {
  for (const text of [
    '',
    'text',
    '<A>',
    '<A></B>',
    '</A>',
    '<A><!-- no --></A>',
    '<A><![CDATA[no]]></A>',
    '<A>&nbsp;</A>',
    '<A>text<B/></A>',
  ]) {
    isHandedOver(() => xml.parse(text));
  }
});

test('documents have the members of their shape, in its order or by name', () => {
  /** @type {import('../lib/types').Shape} */
  const shape = [
    ['Name', 'string'],
    ['Count', 'integer'],
    ['Items', 'list', 'Items', [['When', 'time']]],
    ['IsIt', 'boolean'],
  ];
  const data = Buffer.from(
    '<R><IsIt>true</IsIt><Items><When>2015-10-21T07:28:00.000Z</When><Else>x</Else></Items><Count>3</Count><Name></Name></R>',
  );
  const read = documents.read(shape, data, false);
  assert.deepEqual(Object.entries(read), [
    ['Name', ''],
    ['Count', 3],
    ['Items', [{ When: new Date('2015-10-21T07:28:00Z') }]],
    ['IsIt', true],
  ]);
  assert.deepEqual(Object.keys(documents.read(shape, data, true)), ['Count', 'IsIt', 'Items', 'Name']);
  for (const text of [
    '<Error/>',
    '<R><Count>x</Count></R>',
    '<R><Count>1</Count><Count>2</Count></R>',
    '<R><IsIt>yes</IsIt></R>',
    '<R>text</R>',
  ]) {
    isHandedOver(() => documents.read(shape, Buffer.from(text), false));
  }
});

test('times are read in the forms that S3 has', () => {
  assert.equal(dates.ofHeader('Wed, 21 Oct 2015 07:28:00 GMT').toISOString(), '2015-10-21T07:28:00.000Z');
  isHandedOver(() => dates.ofHeader('2015-10-21'));
  isHandedOver(() => dates.ofDocument('Wed, 21 Oct 2015 07:28:00 GMT'));
  isHandedOver(() => dates.ofDocument('2015-13-21T07:28:00Z'));
});

test('checksums are those of the standards, however the data comes', () => {
  const text = (/** @type {Crc32 | Crc64} */ checksum, /** @type {(string | Buffer)[]} */ ...pieces) => {
    pieces.forEach((piece) => checksum.update(Buffer.from(piece)));
    return checksum.text();
  };
  assert.equal(text(new Crc32(), '123456789'), Buffer.from('cbf43926', 'hex').toString('base64'));
  assert.equal(text(new Crc64(), '123456789'), Buffer.from('ae8b14860a799888', 'hex').toString('base64'));
  const data = Buffer.alloc(100_000, 'checksum ');
  for (const kind of [Crc32, Crc64]) {
    assert.equal(
      text(new kind(), data.subarray(0, 10), data.subarray(10, 60_000), data.subarray(60_000)),
      text(new kind(), data),
    );
  }
});
