# SPDX-License-Identifier: Apache-2.0
"""Holds what agents answered against what etcd's history says. Each check returns a list of errors, each
with what, when, expected and got; check() joins them."""
import time

from recorder import Timeline, read_instance, split_key

LONGEST_GAP_S = 0.5


def check(recorder, pollers, final=True, longest=LONGEST_GAP_S):
    """Everything that must hold in one history of etcd. Call recorder.sync() first."""
    errors = list(recorder.problems)
    errors += answers_equal_truth(recorder, pollers)
    errors += index_never_back(pollers)
    errors += answers_never_stopped(pollers, longest)
    errors += one_key_per_instance(recorder)
    if final:
        errors += final_equals_truth(recorder, pollers)
    return errors


def answers_equal_truth(recorder, pollers, since=0.0, until=float("inf"), offset=0):
    """Every answer at index R is the service as it stood in etcd at revision R - offset. Since a revision is
    applied to the truth as a whole, an answer with a part of one is an error too. Held instances are no
    part of the truth: they must have been served before, and their number must be in the header."""
    errors = []
    history = recorder.history()
    last = history[-1].number if history else 0
    for service in sorted({s for p in pollers for s in p.services}):
        timeline = Timeline(history, service, recorder.prefix)
        ever = timeline.ever()
        answers = [(a, p) for p in pollers for a in p.answers()
                   if a.service == service and a.status in (200, 404) and since <= a.sent and a.at <= until]
        answers.sort(key=lambda pair: pair[0].index)
        good = {}  # (index, identity of the parsed list): already compared
        for answer, poller in answers:
            if (answer.index, id(answer.instances), answer.status, answer.held_header) in good:
                continue
            revision = answer.index - offset
            truth = timeline.at(revision)
            problem = _compare(answer, truth, ever)
            if revision > last:
                problem = f"index {answer.index} is of the future: etcd is at {last + offset}"
            if problem:
                errors.append(f"{where(answer, poller)}: {problem}")
            else:
                good[answer.index, id(answer.instances), answer.status, answer.held_header] = True
    return errors


def _compare(answer, truth, ever):
    shown = {i["id"]: i for i in answer.instances}
    if len(shown) != len(answer.instances):
        return f"an id twice: {sorted(i['id'] for i in answer.instances)}"
    if list(shown) != sorted(shown):
        return f"not sorted by id: {list(shown)}"
    if answer.body_index != answer.index:
        return f"index {answer.body_index} in the body, {answer.index} in the header"
    if answer.held_header != len(answer.held):
        return f"X-Rosterd-Held: {answer.held_header}, and {len(answer.held)} instances say held: {sorted(answer.held)}"
    if answer.held:
        # No part of the truth, and the index stands before the change that they outlive.
        unknown = sorted(i for i in answer.held if i not in ever)
        return f"held, and never seen in etcd: {unknown}" if unknown else None
    if answer.status != (200 if shown else 404):
        return f"status {answer.status} with {len(shown)} instances"
    open_ids = {i: shown[i] for i in shown if i not in answer.held}
    if open_ids == truth:
        return None
    missing, extra = sorted(set(truth) - set(open_ids)), sorted(set(open_ids) - set(truth))
    other = [(truth[i], open_ids[i]) for i in truth if i in open_ids and truth[i] != open_ids[i]]
    return (f"expected {len(truth)} instances as etcd has at revision {answer.index}, got {len(open_ids)}; missing "
            f"{missing[:10]}, not in etcd {extra[:10]}, other contents (expected, got) {other[:2]}")


def index_never_back(pollers):
    errors = []
    for poller in pollers:
        highest = {}
        for answer in poller.answers():
            if answer.status not in (200, 404):
                continue
            before = highest.get(answer.service, 0)
            if answer.index < before:
                errors.append(f"{where(answer, poller)}: the index went back: expected {before} or more, "
                              f"got {answer.index}")
            highest[answer.service] = max(before, answer.index)
    return errors


def answers_never_stopped(pollers, longest=LONGEST_GAP_S):
    """From the first 200 or 404 on, every request gets one of them and none is late, except while the test
    said that the agent is down."""
    errors = []
    for poller in pollers:
        for service in poller.services:
            answers = [a for a in poller.answers() if a.service == service]
            previous = None
            for answer in answers:
                good = answer.status in (200, 404)
                if previous and not good and not _excused(poller.down, previous.at, answer.at):
                    errors.append(f"{where(answer, poller)}: expected an answer, got "
                                  f"{answer.status or answer.error}")
                if not good:
                    continue
                if previous:
                    gap = answer.at - previous.at - _overlap(poller.late, previous.at, answer.at)
                    if gap > longest and not _excused(poller.down, previous.at, answer.at):
                        errors.append(f"{where(answer, poller)}: expected answers without a gap of more than "
                                      f"{longest} s, got one of {gap:.3f} s")
                previous = answer
            if previous is None:
                errors.append(f"{poller.name}: {service} was never answered")
    return errors


def longest_gap(pollers):
    """Seconds, as answers_never_stopped() counts them."""
    longest = 0.0
    for poller in pollers:
        for service in poller.services:
            good = [a for a in poller.answers() if a.service == service and a.status in (200, 404)]
            for before, after in zip(good, good[1:]):
                if not _excused(poller.down, before.at, after.at):
                    longest = max(longest, after.at - before.at - _overlap(poller.late, before.at, after.at))
    return longest


def never_missing(pollers, service, ids, since=0.0, until=float("inf")):
    """No answer in that time lacks one of the ids."""
    errors = []
    for poller in pollers:
        for answer in poller.answers():
            if answer.service == service and answer.status and since <= answer.sent and answer.at <= until:
                missing = sorted(set(ids) - {i["id"] for i in answer.instances})
                if missing:
                    errors.append(f"{where(answer, poller)}: expected all of {sorted(ids)}, missing {missing}")
    return errors


def one_key_per_instance(recorder):
    """At every revision at most one key holds a service's (host, port)."""
    errors = []
    places, holders = {}, {}  # key: (service, host, port); (service, host, port): keys
    for revision in recorder.history():
        touched = set()
        for event in revision.events:
            names = split_key(event.key, recorder.prefix)
            if names is None:
                continue
            old = places.pop(event.key, None)
            if old:
                holders[old].discard(event.key)
            instance = read_instance(names[1], event.value) if event.kind == "put" else None
            if instance:
                place = (names[0], instance["address"], instance["port"])
                places[event.key] = place
                holders.setdefault(place, set()).add(event.key)
                touched.add(place)
        for place in touched:
            if len(holders[place]) > 1:
                errors.append(f"revision {revision.number}: expected one key for {place}, got {sorted(holders[place])}")
    return errors


def final_equals_truth(recorder, pollers):
    """The last answer of each agent shows what etcd holds at the end."""
    errors = []
    history = recorder.history()
    for service in sorted({s for p in pollers for s in p.services}):
        truth = Timeline(history, service, recorder.prefix).at(history[-1].number if history else 0)
        for poller in pollers:
            if service not in poller.services:
                continue
            answer = poller.last(service)
            shown = {i["id"]: i for i in answer.instances if i["id"] not in answer.held} if answer else None
            if shown != truth:
                errors.append(f"{poller.name}: the last answer for {service}: expected {sorted(truth)}, "
                              f"got {where(answer, poller) if answer else 'none'}: {sorted(shown or ())}")
    return errors


def await_final(recorder, pollers, seconds=10):
    """Polls until final_equals_truth() holds for answers sent from now on; returns its errors otherwise."""
    recorder.sync()
    began = time.monotonic()
    while True:
        fresh = all((a := p.last(s)) and a.sent > began for p in pollers for s in p.services)
        errors = final_equals_truth(recorder, pollers) if fresh else ["no fresh answers"]
        if not errors or time.monotonic() - began > seconds:
            return errors
        time.sleep(0.05)


def writes_in(cluster, seconds):
    """How far etcd's revision moves in so many seconds; 0 in steady state."""
    before = cluster.revision()
    time.sleep(seconds)
    return cluster.revision() - before


def where(answer, poller):
    return (f"{poller.name} at {answer.sent:.3f} (answered after {(answer.at - answer.sent) * 1000:.0f} ms), "
            f"{answer.service}, index {answer.index}, {answer.state}")


def _overlap(windows, begin, end):
    return sum(max(0.0, min(end, until) - max(begin, since)) for since, until in windows)


def _excused(windows, begin, end):
    return any(since < end and begin < until for since, until in windows)
