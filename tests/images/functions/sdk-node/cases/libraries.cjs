// SPDX-License-Identifier: Apache-2.0
'use strict';

/** Signed URLs, and what packages beside the client are looked for by. */

const { outcome } = require('../plain.cjs');

/** @typedef {import('../equivalence.cjs').Case} Case */

/**
 * A package that is not installed with every release, or undefined.
 * @param {string} name
 */
function optional(name) {
  try {
    return require(name);
  } catch {
    return undefined;
  }
}

/** What differs in a URL or a form with the key that signs it, and when. */
const OF_KEY = ['X-Amz-Credential', 'X-Amz-Date', 'X-Amz-Security-Token', 'X-Amz-Signature', 'Policy'];
/** What the SDK puts into URLs beside that: what follows from the rest, and the checksum of a body that is not there yet. */
const LEFT_OUT = ['X-Amz-Content-Sha256', 'x-amz-checksum-crc32', 'x-amz-sdk-checksum-algorithm'];

/**
 * Of what was signed for the gateway: whether with the key in a guest's environment, which no store knows.
 * @type {boolean[]}
 */
const placeholders = [];

/**
 * Notes whose key signed something.
 * @param {string | null | undefined} credential
 * @param {string} hostname where it leads
 */
function note(credential, hostname) {
  if (!hostname.includes('elsewhere')) {
    placeholders.push(credential?.split('/')[0] === process.env['AWS_ACCESS_KEY_ID']);
  }
}

/**
 * What a signed URL says of its call. Whose key it is signed with differs, and where it leads.
 * @param {string} text
 */
function told(text) {
  const { hostname, pathname, searchParams } = new URL(text);
  note(searchParams.get('X-Amz-Credential'), hostname);
  const names = [...searchParams.keys()].filter((name) => !OF_KEY.includes(name) && !LEFT_OUT.includes(name));
  return [pathname.replace(/\/$/, ''), names.sort().map((name) => [name, searchParams.get(name)])];
}

/**
 * What a signed form says of its upload.
 * @param {{ url: string, fields: Record<string, string> }} form
 */
function toldOfForm({ url, fields }) {
  const { conditions } = JSON.parse(Buffer.from(fields['Policy'] ?? '', 'base64').toString());
  const { hostname, pathname } = new URL(url);
  note(fields['X-Amz-Credential'], hostname);
  const isOfKey = (/** @type {string} */ name) => OF_KEY.some((own) => own.toLowerCase() === name.toLowerCase());
  const kept = conditions
    .filter((/** @type {object} */ condition) => !Object.keys(condition).some(isOfKey))
    .map((/** @type {object} */ condition) =>
      JSON.stringify(condition).replace('"X-Amz-', '"x-amz-').replace('-Algorithm', '-algorithm'),
    );
  return [
    pathname,
    // The placeholder of a guest has a token, what the gateway signs with need not have one.
    Object.entries(fields)
      .filter(([name]) => name !== 'X-Amz-Security-Token')
      .map(([name, value]) => [name, isOfKey(name) ? '' : value]),
    [...new Set(kept)].sort(),
  ];
}

/** @type {Record<string, Case>} */
const CASES = {
  async presigned(s3, Bucket, sdk) {
    const signer = optional('@aws-sdk/s3-request-presigner');
    if (signer === undefined) {
      return 'not installed';
    }
    const seen = [];
    for (const [input, options] of [
      [{ Key: 'a b/ü' }, { expiresIn: 60 }],
      [
        {
          Key: 'x',
          VersionId: '1',
          ResponseContentType: 'text/plain',
          ResponseContentDisposition: 'attachment; filename="a b"',
        },
      ],
      [{ Key: 'x', PartNumber: 1 }, { expiresIn: 604_800 }],
    ]) {
      const command = new sdk.GetObjectCommand({ Bucket, ...input });
      seen.push(await outcome(async () => told(await signer.getSignedUrl(s3, command, options))));
    }
    const part = new sdk.UploadPartCommand({ Bucket, Key: 'x', UploadId: 'a/b', PartNumber: 2, ContentType: 'text/plain' });
    const create = new sdk.CreateMultipartUploadCommand({ Bucket, Key: 'x', ContentType: 'text/plain' });
    for (const command of [part, create, new sdk.AbortMultipartUploadCommand({ Bucket, Key: 'x', UploadId: 'a/b' })]) {
      seen.push(await outcome(async () => told(await signer.getSignedUrl(s3, command))));
    }
    return [...seen, signer.getSignedUrl.name, typeof signer.S3RequestPresigner];
  },

  async presignedOtherwise(s3, Bucket, sdk) {
    const signer = optional('@aws-sdk/s3-request-presigner');
    if (signer === undefined) {
      return 'not installed';
    }
    const command = new sdk.GetObjectCommand({ Bucket, Key: 'x' });
    const seen = [];
    for (const options of [
      { expiresIn: 604_801 },
      { expiresIn: 5, signingDate: new Date(0) },
      { unhoistableHeaders: new Set(['x']) },
    ]) {
      seen.push(await outcome(async () => told(await signer.getSignedUrl(s3, command, options))));
    }
    seen.push(await outcome(async () => told(await signer.getSignedUrl(s3, new sdk.GetBucketLocationCommand({ Bucket })))));
    seen.push(await outcome(async () => told(await signer.getSignedUrl(s3, new sdk.GetObjectCommand({ Bucket })))));
    seen.push(await outcome(() => signer.getSignedUrl()), await outcome(() => signer.getSignedUrl(s3)));
    const ranged = new sdk.GetObjectCommand({ Bucket, Key: 'x', Range: 'bytes=0-1', IfMatch: '"a"' });
    seen.push(told(await signer.getSignedUrl(s3, ranged)));
    const said = {
      ACL: 'private',
      CacheControl: 'no-cache',
      ContentDisposition: 'inline',
      ContentType: 'text/plain',
      Metadata: { B: '2 +', a: '1' },
      ServerSideEncryption: 'AES256',
      Tagging: 'a=b',
    };
    for (const [more, options] of [
      [said, {}],
      [said, { signableHeaders: new Set(['content-type']) }],
      [said, { unhoistableHeaders: new Set(['x-amz-meta-a']), unsignableHeaders: new Set(['content-disposition']) }],
      [{ ContentLength: 5 }, { signingDate: new Date(Date.now() - 60_000) }],
      [{ Body: 'hello' }, {}],
      [{ ChecksumSHA256: 'LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=' }, { expiresIn: 60 }],
    ]) {
      const put = new sdk.PutObjectCommand({ Bucket, Key: 'x', ...more });
      seen.push(await outcome(async () => told(await signer.getSignedUrl(s3, put, options))));
    }
    // A client that is real meanwhile.
    await outcome(() => s3.send(new sdk.GetBucketLocationCommand({ Bucket })));
    seen.push(told(await signer.getSignedUrl(s3, new sdk.HeadObjectCommand({ Bucket, Key: 'x' }))));
    const configured = new sdk.S3Client({ maxAttempts: 2, forcePathStyle: true });
    return [...seen, told(await signer.getSignedUrl(configured, command, { expiresIn: 60 }))];
  },

  async forms(s3, Bucket, sdk) {
    const signer = optional('@aws-sdk/s3-presigned-post');
    if (signer === undefined) {
      return 'not installed';
    }
    const make = (/** @type {any} */ client, /** @type {any} */ asked) =>
      outcome(async () => toldOfForm(await signer.createPresignedPost(client, asked)));
    const Conditions = [
      ['content-length-range', 0, 1000],
      { 'Content-Type': 'text/plain' },
      ['starts-with', '$x-amz-meta-a', ''],
    ];
    const seen = [];
    for (const asked of [
      { Bucket, Key: 'a b/ü' },
      { Bucket, Key: 'up/${filename}', Conditions, Fields: { 'Content-Type': 'text/plain', acl: 'private' }, Expires: 60 },
      { Bucket },
      undefined,
    ]) {
      seen.push(await make(s3, asked));
    }
    // A client that is real from the beginning, and one that is meanwhile.
    seen.push(await make(new sdk.S3({ maxAttempts: 2 }), { Bucket, Key: 'k' }));
    await outcome(() => s3.send(new sdk.GetBucketLocationCommand({ Bucket })));
    return [...seen, await make(s3, { Bucket, Key: 'k' }), Object.keys(signer)];
  },
};

module.exports = { CASES, optional, placeholders, told };
