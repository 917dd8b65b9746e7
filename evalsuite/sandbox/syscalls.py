"""Numbers of the system calls that the filter names, for x86-64 and 64-bit ARM.

Written as ``name x86-64 aarch64``; a dash where the machine has no such call. Kernel ABI numbers never change.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

__all__ = ["ALWAYS_ALLOWED", "AUDIT_ARCH", "LOOPBACK_CALLS", "PROCESS_CALLS", "UNSEEN_BY_LANDLOCK", "numbers"]

#: What an interpreter computing in memory and writing files in its own directory needs.
_ALWAYS = """
    access 21 -; alarm 37 -; arch_prctl 158 -; brk 12 214; chdir 80 49; chmod 90 -; clock_getres 229 114;
    clock_gettime 228 113; clock_nanosleep 230 115; close 3 57; close_range 436 436; creat 85 -; dup 32 23;
    dup2 33 -; dup3 292 24; epoll_create 213 -; epoll_create1 291 20; epoll_ctl 233 21; epoll_pwait 281 22;
    epoll_wait 232 -; eventfd2 290 19; exit 60 93; exit_group 231 94; faccessat 269 48; faccessat2 439 439;
    fadvise64 221 223; fallocate 285 47; fchdir 81 50; fchmod 91 52; fchmodat 268 53; fdatasync 75 83;
    flock 73 32; fstat 5 80; fstatfs 138 44; fsync 74 82; ftruncate 77 46; futex 202 98; futex_time64 - 422;
    get_mempolicy 239 236; get_robust_list 274 100; getcwd 79 17; getdents 78 -; getdents64 217 61;
    getegid 108 177; geteuid 107 175; getgid 104 176; getgroups 115 158; getitimer 36 102; getpgid 121 155;
    getpgrp 111 -; getpid 39 172; getppid 110 173; getrandom 318 278; getresgid 120 150; getresuid 118 148;
    getrlimit 97 163; getrusage 98 165; getsid 124 156; getsockname 51 204; getsockopt 55 209; gettid 186 178;
    gettimeofday 96 169; getuid 102 174; link 86 -; linkat 265 37; lseek 8 62; lstat 6 -; madvise 28 233;
    membarrier 324 283; mincore 27 232; mkdir 83 -; mkdirat 258 34; mmap 9 222; mprotect 10 226; mremap 25 216;
    msync 26 227; munmap 11 215; nanosleep 35 101; newfstatat 262 79; open 2 -; openat 257 56; openat2 437 437;
    pause 34 -; pipe 22 -; pipe2 293 59; poll 7 -; ppoll 271 73; pread64 17 67; preadv 295 69; preadv2 327 286;
    pselect6 270 72; pwrite64 18 68; pwritev 296 70; pwritev2 328 287; read 0 63; readahead 187 213;
    readlink 89 -; readlinkat 267 78; readv 19 65; recvfrom 45 207; recvmsg 47 212; rename 82 -;
    renameat 264 38; renameat2 316 276; restart_syscall 219 128; rmdir 84 -; rseq 334 293; rt_sigaction 13 134;
    rt_sigpending 127 136; rt_sigprocmask 14 135; rt_sigreturn 15 139; rt_sigsuspend 130 133;
    rt_sigtimedwait 128 137; sched_get_priority_max 146 125; sched_get_priority_min 147 126;
    sched_getaffinity 204 123; sched_getparam 143 121; sched_getscheduler 145 120; sched_yield 24 124;
    select 23 -; sendfile 40 71; sendmsg 46 211; sendto 44 206; set_robust_list 273 99; set_tid_address 218 96;
    setitimer 38 103; setsockopt 54 208; shutdown 48 210; sigaltstack 131 132; stat 4 -;
    statfs 137 43; statx 332 291; symlink 88 -; symlinkat 266 36; sync_file_range 277 84; sysinfo 99 179;
    time 201 -; times 100 153; truncate 76 45; umask 95 166; uname 63 160; unlink 87 -; unlinkat 263 35;
    utime 132 -; utimensat 280 88; utimes 235 -; write 1 64; writev 20 66;
"""

#: What starting and waiting for other programs needs.
_PROCESSES = """
    execve 59 221; execveat 322 281; fork 57 -; setpgid 109 154; setsid 112 157; vfork 58 -; wait4 61 260;
    waitid 247 95;
"""

#: What talking over a network that ends in this process's own namespace needs; "socket" is judged by its family.
_LOOPBACK = """
    accept 43 202; accept4 288 242; bind 49 200; connect 42 203; getpeername 52 205; listen 50 201; recvmmsg 299 243;
    sendmmsg 307 269;
"""

#: Calls that are allowed or not by their arguments, or needed by the sandbox itself before the filter is in place.
_OTHERS = """
    clone 56 220; clone3 435 435; fcntl 72 25; ioctl 16 29; kill 62 129; prctl 157 167; prlimit64 302 261;
    socket 41 198; socketpair 53 199; tgkill 234 131;
    capset 126 91; landlock_add_rule 445 445; landlock_create_ruleset 444 444; landlock_restrict_self 446 446;
    mount 165 40; mount_setattr 442 442; pivot_root 155 41; seccomp 317 277; umount2 166 39; unshare 272 97;
"""

#: Calls on files by path that Landlock does not see; harmless only where everything outside is mounted read-only.
UNSEEN_BY_LANDLOCK = ("chmod", "fchmod", "fchmodat", "truncate", "utime", "utimensat", "utimes")

#: The machine as the seccomp filter sees it (``AUDIT_ARCH_*`` of linux/audit.h).
AUDIT_ARCH: Mapping[str, int] = MappingProxyType({"x86_64": 0xC000003E, "aarch64": 0xC00000B7})


def _names(table: str) -> tuple[str, ...]:
    return tuple(row.split()[0] for row in table.split(";") if row.strip())


ALWAYS_ALLOWED = _names(_ALWAYS)
PROCESS_CALLS = _names(_PROCESSES)
LOOPBACK_CALLS = _names(_LOOPBACK)


@cache
def numbers() -> Mapping[str, int]:
    """Return the number of every known call on this machine; empty when the machine is neither of the two."""
    column = {"x86_64": 1, "aarch64": 2}.get(platform.machine())
    if column is None:
        return MappingProxyType({})
    rows = (row.split() for row in (_ALWAYS + _PROCESSES + _LOOPBACK + _OTHERS).split(";") if row.strip())
    return MappingProxyType({row[0]: int(row[column]) for row in rows if row[column] != "-"})
