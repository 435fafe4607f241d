// SPDX-License-Identifier: Apache-2.0
//! Starts the image's program, and waits for it as PID 1 must: for everybody else's children too.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Pid, Uid, fchown, setgid, setgroups, setsid, setuid};

use crate::config::Program;
use crate::error::InitError;
use crate::host::ProcessExit;

/// Starts the program with the console as its output, in a session of its own.
pub(crate) fn start(program: &Program, console: &File) -> Result<Pid, InitError> {
    let console_failed = |source| InitError::file("use", "/dev/console")(source);
    // The program may open /dev/stdout by name, which takes the right to do so.
    fchown(console, Some(Uid::from_raw(program.uid)), None)
        .map_err(|errno| console_failed(io::Error::from(errno)))?;
    // Container engines make the working directory if the image lacks it.
    fs::create_dir_all(&program.cwd).map_err(InitError::file("create", &program.cwd))?;
    let failed = |source| InitError::Exec {
        program: program.arguments[0].clone(),
        source,
    };
    let mut command = Command::new(&program.arguments[0]);
    command
        .args(&program.arguments[1..])
        .env_clear()
        .envs(&program.env)
        .current_dir(&program.cwd)
        .stdin(Stdio::null())
        .stdout(console.try_clone().map_err(console_failed)?)
        .stderr(console.try_clone().map_err(console_failed)?);
    let user = Uid::from_raw(program.uid);
    let group = Gid::from_raw(program.gid);
    let groups: Vec<Gid> = program.groups.iter().copied().map(Gid::from_raw).collect();
    let become_user = move || {
        setsid()?;
        setgroups(&groups)?;
        setgid(group)?;
        setuid(user)?;
        Ok(())
    };
    // SAFETY: the closure runs between fork and exec; it makes four system calls and neither allocates nor locks.
    unsafe { command.pre_exec(become_user) };
    let child = command.spawn().map_err(failed)?;
    // Linux has no process ids beyond 2^22.
    Ok(Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)))
}

/// Reaps every child until `main` has ended.
pub(crate) fn reap_until_exit(main: Pid) -> Result<ProcessExit, InitError> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place for the result.
        let child = unsafe { libc::waitpid(-1, &raw mut status, 0) };
        if child == main.as_raw() {
            return Ok(exit_of(status));
        }
        if child < 0 {
            let source = io::Error::last_os_error();
            if source.kind() != io::ErrorKind::Interrupted {
                return Err(InitError::Wait(source));
            }
        }
    }
}

/// Reads a status of waitpid(2), which without options reports ends only. Real-time signals are why nix does not
/// do this: it knows no names for them.
fn exit_of(status: i32) -> ProcessExit {
    // Both are small by definition: an exit status has 8 bits, signals end at 64.
    let byte = |code: i32| u8::try_from(code).unwrap_or(u8::MAX);
    if libc::WIFSIGNALED(status) {
        ProcessExit::Signaled {
            code: byte(libc::WTERMSIG(status)),
        }
    } else {
        ProcessExit::Exited {
            code: byte(libc::WEXITSTATUS(status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_reported_as_nexusd_reads_them() {
        let exited = exit_of(3 << 8);
        assert_eq!(exited.code(), 3);
        let json = serde_json::to_string(&exited).expect("JSON");
        assert_eq!(json, r#"{"status":"exited","code":3}"#);
        for signal in [libc::SIGKILL, libc::SIGRTMAX()] {
            let killed = exit_of(signal);
            assert_eq!(i32::from(killed.code()), 128 + signal);
            let json = serde_json::to_string(&killed).expect("JSON");
            assert_eq!(json, format!(r#"{{"status":"signaled","code":{signal}}}"#));
        }
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "what is tested reaps it")]
    fn orphans_do_not_end_the_wait() {
        let mut quick = Command::new("true").spawn().expect("a process");
        let main = Command::new("sh")
            .args(["-c", "sleep 0.1; exit 5"])
            .spawn()
            .expect("a process");
        let main = Pid::from_raw(i32::try_from(main.id()).expect("a process id"));
        assert_eq!(
            reap_until_exit(main).expect("an exit"),
            ProcessExit::Exited { code: 5 }
        );
        // It has been reaped already, so there is nothing to wait for.
        assert!(quick.wait().is_err());
    }

    #[test]
    fn a_missing_program_is_127_and_others_126() {
        let exec = |kind: io::ErrorKind| InitError::Exec {
            program: "x".to_owned(),
            source: kind.into(),
        };
        assert_eq!(exec(io::ErrorKind::NotFound).exit_code(), 127);
        assert_eq!(exec(io::ErrorKind::PermissionDenied).exit_code(), 126);
    }
}
