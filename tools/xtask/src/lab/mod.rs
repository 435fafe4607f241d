// SPDX-License-Identifier: Apache-2.0
//! Runs a program where KVM can run a Linux guest.
//!
//! That is this machine, if a probe guest says so. Elsewhere it is the lab: an emulated AMD machine with a complete KVM, in which
//! this machine's file system is the root, read-only but for the run's own folder.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{paths, setup, step};

/// Where Debian's packages have the emulator's firmware.
const FIRMWARE: &str = "-L /usr/share/seabios -L /usr/share/qemu";

/// Where programs that need KVM run.
pub(crate) enum Place {
    /// On this machine.
    Here,
    /// In an emulated machine.
    Lab(setup::lab::Parts),
}

/// How the emulated machine counts time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// As the wall does; two processors.
    Wall,
    /// One virtual nanosecond is one instruction; one processor.
    Instructions,
}

/// A program to run in a [`Place`].
pub(crate) struct Job<'a> {
    /// The one folder it may write to that is seen afterwards.
    pub(crate) folder: &'a Path,
    pub(crate) clock: Clock,
    /// How long it may take. Emulation may come to a stand, and nobody waits for ever.
    pub(crate) limit: Option<Duration>,
    /// The program and its arguments.
    pub(crate) program: &'a [String],
}

impl Place {
    /// Finds out by trying; needs nexus-vmm. Sets the lab up if it is needed.
    pub(crate) fn find() -> Result<Self> {
        let probe = Command::new(paths::host_programs().join("nexus-vmm"))
            .arg("probe")
            .output()
            .context("cannot start nexus-vmm")?;
        let said = String::from_utf8_lossy(&probe.stdout);
        // Its first sentence; the rest is advice for somebody who has no lab.
        let said = said.split(". ").next().unwrap_or_default().trim();
        if probe.status.success() {
            step::note("KVM on this machine runs Linux guests: running directly");
            return Ok(Self::Here);
        }
        step::note(&format!(
            "running in the lab, an emulated machine with a complete KVM ({said})"
        ));
        setup::debian::packages(setup::debian::Purpose::Lab)?;
        Ok(Self::Lab(setup::lab::ensure()?))
    }

    /// Runs a program with its output shown.
    ///
    /// # Errors
    /// If the program fails or takes too long, or the lab fails.
    pub(crate) fn run(&self, job: &Job<'_>) -> Result<()> {
        let folder = job.folder;
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        match self {
            Self::Here => run_here(job),
            Self::Lab(parts) => run_in_lab(parts, job),
        }
    }
}

fn run_here(job: &Job<'_>) -> Result<()> {
    let mut program = Command::new(&job.program[0])
        .args(&job.program[1..])
        .current_dir(paths::repository())
        .spawn()
        .with_context(|| format!("cannot start {}", job.program[0]))?;
    if !wait(&mut program, job.limit, || Ok(()))? {
        program.kill()?;
        program.wait()?;
        return Err(overdue(job));
    }
    let status = program.wait()?;
    ensure!(status.success(), "{status} from {}", job.program[0]);
    Ok(())
}

fn run_in_lab(parts: &setup::lab::Parts, job: &Job<'_>) -> Result<()> {
    let files = Exchange::new(job.folder)?;
    files.write_script(job.program)?;
    let mut machine = start(parts, job, &files)?;
    let mut output = Follower {
        file: File::open(&files.output)?,
    };
    if !wait(&mut machine, job.limit, || output.copy_new())? {
        files.kill_machine()?;
        machine.wait()?;
        return Err(overdue(job));
    }
    match fs::read_to_string(&files.status) {
        Ok(status) if status.trim() == "0" => Ok(()),
        Ok(status) => bail!(
            "{} exited with {} in the lab",
            job.program[0],
            status.trim()
        ),
        Err(_) => bail!(
            "the lab's machine ended before the program did: see {} and {}",
            files.console.display(),
            files.kernel.display()
        ),
    }
}

/// Waits for a process to end, with a look at its output meanwhile and once more afterwards. False if it takes too long.
fn wait(
    process: &mut Child,
    limit: Option<Duration>,
    mut look: impl FnMut() -> Result<()>,
) -> Result<bool> {
    let started = Instant::now();
    loop {
        let ended = process.try_wait()?.is_some();
        look()?;
        if ended {
            return Ok(true);
        }
        if limit.is_some_and(|limit| started.elapsed() > limit) {
            return Ok(false);
        }
        sleep(Duration::from_millis(100));
    }
}

fn overdue(job: &Job<'_>) -> anyhow::Error {
    let minutes = job.limit.unwrap_or_default().as_secs() / 60;
    anyhow!(
        "{} had not ended after {minutes} minutes and was killed; what it left is in {}",
        job.program[0],
        job.folder.display()
    )
}

fn start(parts: &setup::lab::Parts, job: &Job<'_>, files: &Exchange) -> Result<Child> {
    let console = File::create(&files.console)?;
    let path = env::var("PATH").unwrap_or_default();
    let (processors, accelerator) = match job.clock {
        Clock::Wall => ("2", "-accel tcg,thread=multi"),
        Clock::Instructions => ("1", "-accel tcg,thread=single -icount shift=0,sleep=off"),
    };
    let mut machine = Command::new(parts.programs.join("vng"));
    machine
        .env("PATH", format!("{}:{path}", parts.programs.display()))
        .arg("--run")
        .arg(&parts.kernel)
        .args(["--disable-kvm", "--cpus", processors, "--memory", "4G"])
        .arg(format!("--rwdir={}", job.folder.display()))
        .arg(format!("--qemu={}", parts.emulator.display()))
        .arg(format!(
            "--qemu-opts={FIRMWARE} -cpu EPYC-v4,+svm,+npt {accelerator} -pidfile {} -set chardev.console.path={}",
            files.machine.display(),
            files.kernel.display()
        ))
        // Its kernel's last words, should it have any.
        .args(["--append", "ignore_loglevel"])
        .arg("--")
        .arg(format!("sh {}", files.script.display()))
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console);
    machine.spawn().context("cannot start virtme-ng")
}

/// The files through which this machine and the lab's talk.
struct Exchange {
    script: PathBuf,
    output: PathBuf,
    status: PathBuf,
    console: PathBuf,
    /// What the machine's kernel says.
    kernel: PathBuf,
    /// Process id of the emulator.
    machine: PathBuf,
}

impl Exchange {
    fn new(folder: &Path) -> Result<Self> {
        let file = |name: &str| folder.join(name);
        let files = Self {
            script: file("lab.sh"),
            output: file("lab-output.txt"),
            status: file("lab-status.txt"),
            console: file("lab-console.txt"),
            kernel: file("lab-kernel.txt"),
            machine: file("lab-machine.pid"),
        };
        File::create(&files.output)?;
        if files.status.exists() {
            fs::remove_file(&files.status)?;
        }
        Ok(files)
    }

    /// Ends the emulator, whose parents then end as well.
    fn kill_machine(&self) -> Result<()> {
        let id = fs::read_to_string(&self.machine)
            .with_context(|| format!("cannot read {}", self.machine.display()))?;
        let id = Pid::from_raw(id.trim().parse()?);
        kill(id, Signal::SIGKILL).context("cannot kill the lab's machine")
    }

    /// The lab's standard output is a serial line; a file is faster and keeps every byte.
    fn write_script(&self, program: &[String]) -> Result<()> {
        let words: Vec<String> = program
            .iter()
            .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
            .collect();
        let script = format!(
            "exec >>'{output}' 2>&1 </dev/null\nmodprobe kvm-amd\nmodprobe dummy numdummies=0\nulimit -n 65536\ncd '{here}'\n{command}\necho $? >'{status}'\nsync\n",
            output = self.output.display(),
            here = paths::repository().display(),
            command = words.join(" "),
            status = self.status.display(),
        );
        fs::write(&self.script, script)
            .with_context(|| format!("cannot write {}", self.script.display()))
    }
}

/// Copies what is added to a file to standard output.
struct Follower {
    file: File,
}

impl Follower {
    fn copy_new(&mut self) -> Result<()> {
        let mut new = Vec::new();
        self.file.read_to_end(&mut new)?;
        let mut out = io::stdout().lock();
        out.write_all(&new)?;
        out.flush()?;
        Ok(())
    }
}
