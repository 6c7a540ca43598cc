-- What a user chose to be shown as, which their next socket restores. Until now a socket made everyone available who was offline, so
-- that somebody invisible could be seen for a moment, or until they said it again.

alter table users add column chosen_availability text not null default 'available'
    constraint users_chosen_availability_known check (chosen_availability in ('available', 'away', 'busy', 'invisible'));
