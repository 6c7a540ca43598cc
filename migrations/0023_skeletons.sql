-- Nicks are compared whatever the case of their letters, so that what is stored of how they look is computed anew: the server
-- does that after its migrations, where there is none.
update users set nick_skeleton = null where nick <> '';
