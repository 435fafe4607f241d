// SPDX-License-Identifier: Apache-2.0

// In the image, not on the machine that checks.
declare module 'aws-sdk';
declare module 'pngjs';
