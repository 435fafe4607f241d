// SPDX-License-Identifier: Apache-2.0
//! Bytes, ends and events of streams.

#![expect(clippy::too_many_lines, reason = "one list of data")]

use crate::call::Call::{
    Close, Duplicate, Get, Linger, PeerName, Poll, Readable, Receive, Send, Set, Shutdown, Stamped,
    Wait, Watch,
};

use super::{ET, Named, connected};

pub(super) fn scripts() -> Vec<Named> {
    vec![
        (
            "T35 FIONREAD counts",
            connected(&[
                Send(1, 100, 0),
                Readable(2),
                Receive(2, 40, 0),
                Readable(2),
                Readable(0),
            ]),
        ),
        (
            "SO_PEEK_OFF passes over what was peeked at",
            connected(&[
                Get(2, libc::SOL_SOCKET, libc::SO_PEEK_OFF),
                Send(1, 100, 0),
                Set(2, libc::SOL_SOCKET, libc::SO_PEEK_OFF, 10),
                Receive(2, 30, libc::MSG_PEEK),
                Get(2, libc::SOL_SOCKET, libc::SO_PEEK_OFF),
                Receive(2, 30, libc::MSG_PEEK),
                Receive(2, 20, 0),
                Get(2, libc::SOL_SOCKET, libc::SO_PEEK_OFF),
                Receive(2, 100, libc::MSG_PEEK),
                Receive(2, 100, libc::MSG_PEEK),
                Send(1, 5, 0),
                Receive(2, 100, libc::MSG_PEEK),
                Receive(2, 200, libc::MSG_TRUNC),
                Get(2, libc::SOL_SOCKET, libc::SO_PEEK_OFF),
                Set(2, libc::SOL_SOCKET, libc::SO_PEEK_OFF, -1),
                Close(1),
                Receive(2, 100, libc::MSG_PEEK),
                Stamped(2),
            ]),
        ),
        (
            "T42 all bytes, then the end",
            connected(&[
                Send(1, 5000, 0),
                Close(1),
                Poll(2),
                Receive(2, 3000, 0),
                Receive(2, 3000, 0),
                Receive(2, 1, 0),
                Poll(2),
            ]),
        ),
        (
            "T46 close after write loses nothing",
            connected(&[
                Send(1, 3000, 0),
                Send(1, 3000, 0),
                Close(1),
                Receive(2, 6000, 0),
            ]),
        ),
        (
            "T48 half-close, with its events",
            connected(&[
                Watch(2, 0),
                Shutdown(1, 1),
                Wait,
                Receive(2, 1, 0),
                Send(2, 10, 0),
                Poll(1),
                Receive(1, 10, 0),
                Shutdown(2, 1),
                Poll(1),
                Poll(2),
                PeerName(1),
            ]),
        ),
        (
            "T49 closing with unread bytes resets",
            connected(&[
                Send(1, 10, 0),
                Close(2),
                Poll(1),
                Send(1, 1, 0),
                Receive(1, 1, 0),
                Receive(1, 1, 0),
            ]),
        ),
        (
            "T54 writing to a closed connection",
            connected(&[
                Close(2),
                Send(1, 1, 0),
                Send(1, 1, 0),
                Poll(1),
                Receive(1, 1, 0),
            ]),
        ),
        (
            "S14 the end of one direction leaves the other",
            connected(&[
                Shutdown(2, 1),
                Receive(1, 1, 0),
                Send(1, 20, 0),
                Receive(2, 20, 0),
            ]),
        ),
        (
            "a linger time of zero resets",
            connected(&[
                Linger(1, 0),
                Close(1),
                Poll(2),
                Receive(2, 1, 0),
                Receive(2, 1, 0),
            ]),
        ),
        (
            "peeking, waiting for all, dropping",
            connected(&[
                Send(1, 100, 0),
                Receive(2, 30, libc::MSG_PEEK),
                Receive(2, 200, libc::MSG_WAITALL),
                Send(1, 100, 0),
                Receive(2, 30, libc::MSG_TRUNC),
                Receive(2, 30, libc::MSG_PEEK | libc::MSG_TRUNC),
                Receive(2, 200, 0),
            ]),
        ),
        (
            "an urgent byte",
            connected(&[
                Watch(2, ET),
                Wait,
                Send(1, 20, 0),
                Send(1, 5, libc::MSG_OOB),
                Send(1, 10, 0),
                Poll(2),
                Wait,
                Readable(2),
                Receive(2, 1, libc::MSG_OOB),
                Receive(2, 1, libc::MSG_OOB),
                Receive(2, 100, 0),
                Receive(2, 100, 0),
                Poll(2),
            ]),
        ),
        (
            "an urgent byte inline",
            connected(&[
                Set(2, libc::SOL_SOCKET, libc::SO_OOBINLINE, 1),
                Send(1, 5, libc::MSG_OOB),
                Receive(2, 1, libc::MSG_OOB),
                Receive(2, 100, 0),
                Receive(2, 100, 0),
            ]),
        ),
        (
            "the last descriptor closes",
            connected(&[
                Duplicate(1, 3),
                Close(1),
                Poll(2),
                Close(3),
                Poll(2),
                Receive(2, 1, 0),
            ]),
        ),
        (
            "edges of readiness",
            connected(&[
                Watch(2, ET),
                Wait,
                Send(1, 10, 0),
                Wait,
                Wait,
                Send(1, 10, 0),
                Wait,
                Receive(2, 20, 0),
                Wait,
            ]),
        ),
    ]
}
