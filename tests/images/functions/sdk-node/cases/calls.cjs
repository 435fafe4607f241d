// SPDX-License-Identifier: Apache-2.0
'use strict';

/** The calls, with what they are given and what they come to. */

const { outcome } = require('../plain.cjs');

/** @typedef {import('../equivalence.cjs').Case} Case */

/** @type {Record<string, Case>} */
module.exports = {
  async putGet(s3, Bucket, sdk) {
    const put = await s3.send(
      new sdk.PutObjectCommand({
        Bucket,
        Key: 'a/b.txt',
        Body: 'hello',
        ContentType: 'text/plain',
        CacheControl: 'no-cache',
        ContentDisposition: 'inline',
        ContentLanguage: 'de',
        Metadata: { One: '1', 'two-2': 'second' },
      }),
    );
    const got = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'a/b.txt' }));
    const text = await got.Body.transformToString();
    return [put, got, text, await s3.send(new sdk.HeadObjectCommand({ Bucket, Key: 'a/b.txt' }))];
  },

  async bodies(s3, Bucket, sdk) {
    const kinds = [
      'täxt',
      '',
      Buffer.from('buffer'),
      new Uint8Array([1, 2, 3]),
      new Uint8Array(Buffer.from('a part of it')).subarray(2, 6),
      Buffer.alloc(0),
    ];
    const seen = [];
    for (const [at, Body] of kinds.entries()) {
      seen.push(await outcome(() => s3.send(new sdk.PutObjectCommand({ Bucket, Key: `body${at}`, Body }))));
      const got = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: `body${at}` }));
      seen.push(await got.Body.transformToByteArray());
    }
    seen.push(await outcome(() => s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'long', Body: 'täxt', ContentLength: 5 }))));
    seen.push(await outcome(() => s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'none' }))));
    return seen;
  },

  async sizes(s3, Bucket, sdk) {
    const seen = [];
    for (const size of [0, 1, 16_383, 16_384, 16_385, 65_000, 65_536, 65_537, 262_144, 262_145, 3_000_000]) {
      const data = Buffer.alloc(size, `${size} `);
      await s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'size', Body: data }));
      const { Body } = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'size' }));
      const read = await Body.transformToByteArray();
      seen.push([read.length, data.equals(read)]);
    }
    return seen;
  },

  async checksums(_, Bucket, sdk) {
    const other = new sdk.S3Client({ maxAttempts: 2 });
    const seen = [];
    for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']) {
      seen.push(
        await outcome(() => other.send(new sdk.PutObjectCommand({ Bucket, Key: 'x', Body: 'content', ChecksumAlgorithm }))),
      );
      const client = new sdk.S3Client({});
      const got = await client.send(new sdk.GetObjectCommand({ Bucket, Key: 'x' }));
      seen.push(
        got,
        await got.Body.transformToString(),
        await outcome(() => client.send(new sdk.HeadObjectCommand({ Bucket, Key: 'x', ChecksumMode: 'ENABLED' }))),
      );
    }
    return seen;
  },

  async keys(s3, Bucket, sdk) {
    const names = [
      'plain',
      'with space',
      'a+b',
      'ü/ö.txt',
      'per%cent',
      'q?x=1&y',
      'hash#',
      'tilde~',
      'a\'b"c',
      '(x)[y]{z}',
      '=,;:@!$*',
      'a//b',
    ];
    const seen = [];
    for (const Key of names) {
      seen.push(await outcome(() => s3.send(new sdk.PutObjectCommand({ Bucket, Key, Body: Key }))));
      seen.push(await outcome(async () => (await s3.send(new sdk.GetObjectCommand({ Bucket, Key }))).Body.transformToString()));
    }
    return seen;
  },

  async ranges(s3, Bucket, sdk) {
    await s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'r', Body: '0123456789' }));
    const seen = [];
    for (const Range of ['bytes=2-4', 'bytes=5-', 'bytes=-3', 'bytes=20-30']) {
      seen.push(
        await outcome(async () => {
          const got = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'r', Range }));
          return [got, await got.Body.transformToString()];
        }),
      );
    }
    return seen;
  },

  async listing(s3, Bucket, sdk) {
    const seen = [await s3.send(new sdk.ListObjectsV2Command({ Bucket }))];
    for (const Key of ['a/1', 'a/2', 'a/b/3', 'b 4', 'ü5', 'six & <seven>']) {
      await s3.send(new sdk.PutObjectCommand({ Bucket, Key, Body: 'x'.repeat(Key.length) }));
    }
    const inputs = [
      {},
      { Prefix: 'a/', Delimiter: '/' },
      { MaxKeys: 2 },
      { StartAfter: 'a/2' },
      { Prefix: 'nothing' },
      { EncodingType: 'url' },
      { Prefix: '' },
      { FetchOwner: true },
      { Prefix: undefined, MaxKeys: 0 },
      { MaxKeys: '2' },
    ];
    for (const input of inputs) {
      seen.push(await outcome(() => s3.send(new sdk.ListObjectsV2Command({ Bucket, ...input }))));
    }
    const first = await s3.send(new sdk.ListObjectsV2Command({ Bucket, MaxKeys: 3 }));
    seen.push(
      await outcome(() => s3.send(new sdk.ListObjectsV2Command({ Bucket, ContinuationToken: first.NextContinuationToken }))),
    );
    return seen;
  },

  async deleting(s3, Bucket, sdk) {
    await s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'x', Body: 'x' }));
    return [
      await s3.send(new sdk.DeleteObjectCommand({ Bucket, Key: 'x' })),
      await outcome(() => s3.send(new sdk.DeleteObjectCommand({ Bucket, Key: 'never' }))),
    ];
  },

  async deletingMany(s3, Bucket, sdk) {
    for (const Key of ['a', 'b & c', 'd']) {
      await s3.send(new sdk.PutObjectCommand({ Bucket, Key, Body: Key }));
    }
    const Delete = { Objects: [{ Key: 'a' }, { Key: 'b & c' }, { Key: 'never' }] };
    return [
      await s3.send(new sdk.DeleteObjectsCommand({ Bucket, Delete })),
      await s3.send(new sdk.DeleteObjectsCommand({ Bucket, Delete: { ...Delete, Quiet: true } })),
    ];
  },

  async copying(s3, Bucket, sdk) {
    await s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'a b', Body: 'content', Metadata: { one: '1' } }));
    const one = await s3.send(new sdk.CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/a%20b` }));
    const other = await s3.send(
      new sdk.CopyObjectCommand({
        Bucket,
        Key: 'new',
        CopySource: `${Bucket}/a%20b`,
        MetadataDirective: 'REPLACE',
        Metadata: { two: '2' },
        ContentType: 'text/plain',
      }),
    );
    const nothing = await outcome(() =>
      s3.send(new sdk.CopyObjectCommand({ Bucket, Key: 'no', CopySource: `${Bucket}/nothing` })),
    );
    return [one, other, nothing];
  },

  getOfNothing: (s3, Bucket, sdk) => s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'no' })),

  headOfNothing: (s3, Bucket, sdk) => s3.send(new sdk.HeadObjectCommand({ Bucket, Key: 'no' })),

  async headBucket(s3, Bucket, sdk) {
    return [
      await s3.send(new sdk.HeadBucketCommand({ Bucket })),
      await outcome(() => s3.send(new sdk.HeadBucketCommand({ Bucket: `${Bucket}-not-there` }))),
    ];
  },

  async otherBucket(s3, Bucket, sdk) {
    const commands = [
      new sdk.GetObjectCommand({ Bucket: 'elsewhere', Key: 'x' }),
      new sdk.HeadObjectCommand({ Bucket: 'elsewhere', Key: 'x' }),
      new sdk.PutObjectCommand({ Bucket: 'elsewhere', Key: 'x', Body: 'x' }),
      new sdk.ListObjectsV2Command({ Bucket: `${Bucket}-not-there` }),
      new sdk.GetObjectCommand({ Bucket: `${Bucket}-not-there`, Key: 'x' }),
    ];
    const seen = [];
    for (const command of commands) {
      seen.push(await outcome(() => s3.send(command)));
    }
    return seen;
  },

  async conditions(s3, Bucket, sdk) {
    const { ETag } = await s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'c', Body: 'x' }));
    const seen = [];
    for (const input of [
      { IfMatch: ETag },
      { IfMatch: '"other"' },
      { IfNoneMatch: ETag },
      { IfModifiedSince: new Date(0) },
      { IfUnmodifiedSince: new Date(0) },
    ]) {
      seen.push(await outcome(() => s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'c', ...input }))));
      seen.push(await outcome(() => s3.send(new sdk.HeadObjectCommand({ Bucket, Key: 'c', ...input }))));
    }
    seen.push(await outcome(() => s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'c', Body: 'y', IfNoneMatch: '*' }))));
    return seen;
  },

  async wrongArguments(s3, Bucket, sdk) {
    const inputs = [
      undefined,
      {},
      { Bucket },
      { Bucket, Key: '' },
      { Bucket, Key: 5 },
      { Bucket: null, Key: 'x' },
      { Bucket: '', Key: 'x' },
      { Bucket: 'not a bucket!', Key: 'x' },
      { Bucket, Key: 'x', Unknown: 1 },
      { Bucket, Key: 'x', Range: 5 },
    ];
    const seen = [];
    for (const input of inputs) {
      seen.push(await outcome(() => s3.send(new sdk.GetObjectCommand(input))));
    }
    for (const more of [
      { Metadata: { x: 'ü' } },
      { Metadata: { 'a b': 'x' } },
      { Metadata: { x: '' } },
      { Metadata: {} },
      { ContentType: '' },
      { ContentLength: 1 },
    ]) {
      seen.push(await outcome(() => s3.send(new sdk.PutObjectCommand({ Bucket, Key: 'x', Body: 'y', ...more }))));
    }
    seen.push(await outcome(() => s3.send(undefined)));
    seen.push(await outcome(() => s3.send({ input: { Bucket } })));
    return seen;
  },

  async handledErrors(s3, Bucket, sdk) {
    const seen = [];
    try {
      await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'no' }));
    } catch (error) {
      const { name, $fault, $metadata, Code, message } = /** @type {any} */ (error);
      seen.push([name, $fault, $metadata.httpStatusCode, Code, message]);
      seen.push([
        error instanceof sdk.NoSuchKey,
        error instanceof sdk.S3ServiceException,
        error instanceof sdk.NoSuchBucket,
        error instanceof Error,
      ]);
      seen.push([error instanceof TypeError, sdk.NoSuchKey.name, /** @type {any} */ (error).constructor === sdk.NoSuchKey]);
    }
    try {
      await s3.send(new sdk.HeadObjectCommand({ Bucket, Key: 'no' }));
    } catch (error) {
      seen.push([/** @type {Error} */ (error).name, error instanceof sdk.NotFound, error instanceof sdk.NoSuchKey]);
    }
    // The real package is loaded meanwhile.
    await outcome(() => new sdk.S3Client({}).send(new sdk.ListBucketsCommand({})));
    const later = await s3.send(new sdk.GetObjectCommand({ Bucket, Key: 'no' })).catch((/** @type {unknown} */ error) => error);
    seen.push([later instanceof sdk.NoSuchKey, later instanceof sdk.S3ServiceException, later.name]);
    const real = await new sdk.S3Client({ maxAttempts: 1 })
      .send(new sdk.GetObjectCommand({ Bucket, Key: 'no' }))
      .catch((/** @type {unknown} */ error) => error);
    seen.push([real instanceof sdk.NoSuchKey, real instanceof sdk.S3ServiceException, real instanceof sdk.NotFound]);
    const made = new sdk.NoSuchKey({ message: 'made', $metadata: {} });
    seen.push([made, made instanceof sdk.NoSuchKey, made instanceof sdk.S3ServiceException]);
    return seen;
  },

  async callbacks(s3, Bucket, sdk) {
    const call = (/** @type {any[]} */ ...args) =>
      new Promise((resolve) => s3.send(...args, (/** @type {unknown[]} */ ...given) => resolve(given)));
    const seen = [await call(new sdk.PutObjectCommand({ Bucket, Key: 'x', Body: 'x' }))];
    seen.push(await call(new sdk.HeadObjectCommand({ Bucket, Key: 'x' }), {}));
    seen.push(await call(new sdk.HeadObjectCommand({ Bucket, Key: 'no' })));
    seen.push(s3.send(new sdk.HeadObjectCommand({ Bucket, Key: 'x' }), () => {}) === undefined);
    return seen;
  },

  async aggregated(_, Bucket, sdk) {
    const s3 = new sdk.S3({});
    const seen = [
      await s3.putObject({ Bucket, Key: 'x', Body: 'x' }),
      await (await s3.getObject({ Bucket, Key: 'x' })).Body.transformToString(),
    ];
    seen.push(await s3.headObject({ Bucket, Key: 'x' }, {}), await outcome(() => s3.headObject({ Bucket, Key: 'no' })));
    seen.push(
      await s3.listObjectsV2({ Bucket }),
      await new Promise((resolve) => s3.headBucket({ Bucket }, (/** @type {unknown[]} */ ...given) => resolve(given))),
    );
    seen.push(
      s3 instanceof sdk.S3,
      s3 instanceof sdk.S3Client,
      typeof s3.getObject,
      typeof s3.listBuckets,
      s3.nothing,
      s3.getObject.length,
    );
    seen.push(
      await s3.getObjectTagging({ Bucket, Key: 'x' }).then(
        () => 'tags',
        (/** @type {Error} */ error) => error.name,
      ),
      await s3.deleteObject({ Bucket, Key: 'x' }),
    );
    return seen;
  },
};
