-- Each message updates its conversation, and PostgreSQL then checks all constraints of the row: this regular expression was
-- a part of what storing a message costs. Only the server makes instances, of letters and digits.
alter table conversations
    drop constraint conversations_instance_form,
    add constraint conversations_instance_form check (octet_length(instance) = 10);
