"""Confinement: what stands between an untrusted script and this machine. Linux only.

    engine      the program: many runs, a supervisor for each; for a set of libraries it starts a
    |-- zygote      the program: imports them, and forks workers that wait for a run
    |   |-- warmup      what it does once so that no worker has to
    |   `-- script      run a script in a worker, as `python SCRIPT` would
    launch      one run, from request to reply; and the program that serves one, cold
    |-- confine     give up everything, in a forked child
    |   |-- root        a new root of read-only views
    |   |-- landlock    a second wall around files and network
    |   `-- seccomp     a third: system calls that no experiment needs
    `-- supervise   stop what goes too far               harvest    take the files that may leave

Where namespaces are forbidden, in the place of `launch` and `confine`:

    reduced     the program: confine with landlock, seccomp and calls (a second filter)
    unconfined  the program: confine nothing; only ever by the user's explicit wish
    |-- processes   a process group that nobody leaves       scratch    a folder in place of a disk

Covered, with namespaces: files, network, other processes, environment, devices, kernel interfaces,
what is left behind, and limits on wall time, processor, memory, disk, processes and output.
Not covered: bugs of the kernel itself (this is not a virtual machine), GPUs, side channels such as
timing and the page cache; the names of the host folders that are mounted can be read in
/proc/self/mountinfo. Page cache and kernel memory are bounded only through the other limits.

Standard library and relative imports only, and none that is slow to import (typing, json, enum,
dataclasses): launchers start without any installed package, the cold one for every experiment. Only
the zygote may be slow.
"""
