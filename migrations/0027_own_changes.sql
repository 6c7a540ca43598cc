-- One more limit of what one user may do: changes that concern nobody else.
alter table user_limits add column own_changes int;
