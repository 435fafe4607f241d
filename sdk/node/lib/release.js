// SPDX-License-Identifier: Apache-2.0
'use strict';

/** What changed from which release of the SDK on. */

/** The first release that lets the environment name the endpoint. */
const OLDEST = 428;

/** The first release that sends and checks checksums unasked. */
const CHECKS = 729;

/** A release up to which all packages have a function for each operation, rather than a description of it. */
const LAST_LISTED = 750;

module.exports = { CHECKS, LAST_LISTED, OLDEST };
