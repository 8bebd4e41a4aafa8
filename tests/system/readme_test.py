"""README.md in the hands of somebody who has the packages and nothing else."""
import re
import textwrap

from host import Failure, expect

BARE = True


def _commands(section):
    """What a reader types: the lines of the sh blocks, with those that belong together in one."""
    for block in re.findall(r"^( *)```sh\n(.*?)^\1```", section, re.M | re.S):
        lines = iter(textwrap.dedent(block[1]).splitlines())
        for line in lines:
            end = re.search(r"<<(\w+)$", line)
            while end or line.endswith("\\"):
                more = next(lines)
                line += "\n" + more
                if end and more == end.group(1) or not end and not more.endswith("\\"):
                    break
            yield line


def the_service_section_runs_line_by_line(host):
    section = re.search(r"^## Use it\n(.*?)^## ", host.run("cat /test/tree/README.md") + "\n## ", re.M | re.S).group(1)
    host.run("mkdir /root/packages && cp /test/state/packages/*.deb /root/packages")
    ran = 0
    for command in _commands(section):
        host.run(f"cd /root/packages && {command}")
        ran += 1
    if ran < 12:
        raise Failure(f"only {ran} commands were found")
    expect(host.run("vgpuctl status"), "streaming")
    expect(host.run("head -c 4 /root/packages/screen.png"), "PNG")
