"""Accounts, folders and messages, also under the hands of several threads."""

import threading

import pytest

from gateway.demo.mail_servers.store import Account
from gateway.demo.mail_servers.store import Folder
from gateway.demo.mail_servers.store import FolderFull
from gateway.demo.mail_servers.store import PostOffice


def test_uids_ascend_and_are_never_given_again() -> None:
    folder = Folder("x", 1)
    assert [folder.append(b"") for _ in range(3)] == [1, 2, 3]
    folder.remove({3})
    assert folder.append(b"") == 4
    assert [message.uid for message in folder.messages] == [1, 2, 4]


def test_messages_taken_before_a_change_stay_as_they_were() -> None:
    folder = Folder("x", 1)
    folder.append(b"a")
    before = folder.messages
    folder.change_flags({1}, lambda flags: flags | {"\\Seen"})
    folder.remove({1})
    assert [(message.uid, message.flags) for message in before] == [(1, frozenset())]


def test_threads_lose_no_message() -> None:
    folder = Folder("x", 1)
    threads = [threading.Thread(target=lambda: [folder.append(b"") for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [message.uid for message in folder.messages] == list(range(1, 401))


def test_watchers_hear_of_every_change_until_they_leave() -> None:
    folder, heard = Folder("x", 1), []

    def watcher() -> None:
        heard.append(len(folder.messages))

    folder.watch(watcher)
    folder.append(b"")
    folder.change_flags({1}, lambda flags: flags)
    folder.remove({1})
    folder.unwatch(watcher)
    folder.append(b"")
    assert heard == [1, 1, 0]


def test_folder_has_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder("x", 1)
    monkeypatch.setattr("gateway.demo.mail_servers.store.MAX_OCTETS", 10)
    folder.append(b"x" * 10)
    with pytest.raises(FolderFull):
        folder.append(b"x")
    monkeypatch.setattr("gateway.demo.mail_servers.store.MAX_FOLDERS", 4)
    with pytest.raises(FolderFull):
        Account("a", "b").create("one more")


def test_folder_made_again_has_another_validity() -> None:
    account = Account("alice", "mail")
    first = account.create("Work").uid_validity
    account.delete("Work")
    assert account.create("Work").uid_validity > first


def test_renaming_inbox_moves_its_messages_and_keeps_it() -> None:
    account = Account("alice", "mail")
    account.inbox.append(b"a")
    account.rename("inbox", "Old")
    assert account.inbox.messages == ()
    assert [message.octets for message in account.folders["Old"].messages] == [b"a"]


def test_post_office_knows_users_by_password_and_by_address() -> None:
    alice = Account("alice", "mail")
    office = PostOffice([alice])
    assert office.log_in(b"alice", b"mail") is alice
    assert office.log_in(b"alice", b"") is None
    assert office.log_in(b"ALICE", b"mail") is None
    assert office.find("Alice@any.where") is alice
    assert office.find("") is None


def test_password_is_not_shown() -> None:
    assert "mail" not in repr(Account("alice", "mail"))
