-- PostgreSQL parses the constraints of a table anew in each statement that writes to it, and a batch of messages writes to both
-- of these. One constraint says what two said; only the server makes instances; and only two statements write list_changes.
alter table conversations
    add constraint conversations_numbers_in_order
        check (0 <= purged_seq and purged_seq <= cleared_seq and cleared_seq <= last_seq),
    drop constraint conversations_cleared_before_last,
    drop constraint conversations_purged_before_cleared,
    drop constraint conversations_instance_form;
alter table list_changes drop constraint list_changes_one_form;
