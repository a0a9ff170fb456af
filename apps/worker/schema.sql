-- The worker's tables and the functions that publish into them.
--
-- Apply it as the owner of the schema `public` (Supabase: the SQL editor). It may be applied again at any
-- time: what is there stays. `python -m worker.schema` prints it with the names of your environment.
--
--   __TABLE__             chunks with their vectors: what a search reads
--   summaries             one summary per filename
--   __TABLE___staging     chunks of publications under way; no reader looks here
--   __TABLE___versions    which version of which blob each published document came from
--
-- The worker stages a document's chunks in batches, then one function call swaps them in: in one transaction,
-- under an advisory lock per document set and filename. A reader sees the old document or the new one, whole.
--
-- For more than about 50,000 chunks add an index for similarity search, of the operator you search with, e.g.
--   create index on __TABLE__ using hnsw (vector vector_cosine_ops);   -- at most 2,000 dimensions

begin;
set local client_min_messages = warning;
set local search_path = public, extensions;

do $$
begin
  -- Supabase keeps extensions in a schema of their own.
  if exists (select from pg_namespace where nspname = 'extensions') then
    create extension if not exists vector with schema extensions;
  else
    create extension if not exists vector;
  end if;
  if not exists (select from pg_roles where rolname = '__ROLE__') then
    create role __ROLE__ nologin;
  end if;
end
$$;

-- Tables ------------------------------------------------------------------------------------------------

-- Tables of an older system stay as they are, whoever may read them; new ones are closed to the public key.
do $$
begin
  if to_regclass('public.__TABLE__') is null then
    create table public.__TABLE__ (
      id uuid primary key default gen_random_uuid(),
      vector vector(__DIMENSIONS__) not null,
      filename text not null,
      document_set text not null default 'default',
      content text not null,
      metadata jsonb not null default '{}',
      created_at timestamptz not null default now()
    );
    alter table public.__TABLE__ enable row level security;
  end if;
  if to_regclass('public.summaries') is null then
    create table public.summaries (
      filename text not null unique,
      summary_text text not null
    );
    alter table public.summaries enable row level security;
  end if;
end
$$;
create index if not exists __TABLE___document on public.__TABLE__ (document_set, filename);

create table if not exists public.__TABLE___staging (
  publication uuid not null,
  position integer not null,
  vector vector(__DIMENSIONS__) not null,
  content text not null,
  metadata jsonb not null default '{}',
  staged_at timestamptz not null default now(),
  primary key (publication, position)
);
create index if not exists __TABLE___staging_age on public.__TABLE___staging (staged_at);

create table if not exists public.__TABLE___versions (
  document_set text not null,
  filename text not null,
  source text not null,
  last_modified timestamptz not null,
  etag text not null,
  publication uuid not null,
  chunks integer not null,
  published_at timestamptz not null default now(),
  primary key (document_set, filename)
);

alter table public.summaries
  add column if not exists document_set text not null default 'default',
  add column if not exists metadata jsonb not null default '{}',
  add column if not exists source text,
  add column if not exists last_modified timestamptz,
  add column if not exists etag text,
  add column if not exists created_at timestamptz not null default now(),
  add column if not exists updated_at timestamptz not null default now();

-- Publishing --------------------------------------------------------------------------------------------

-- What may follow on a published version. Storage tells the time of a write to the second, and ETags have no
-- order that is promised: for two versions of one second the answer is `same_second`, the worker asks
-- storage which one is current, and says so by naming the ETag that its own version supersedes.
create or replace function public.__TABLE___version_verdict(
  published_source text, published_last_modified timestamptz, published_etag text,
  source text, last_modified timestamptz, etag text, supersedes_etag text
) returns text
language sql immutable
set search_path = pg_catalog
as $$
  select case
    when published_source is distinct from source or published_last_modified is null then 'publish'
    when published_last_modified > last_modified then 'newer'
    when published_last_modified < last_modified or published_etag = etag then 'publish'
    when published_etag = supersedes_etag then 'publish'
    else 'same_second'
  end
$$;

-- Swap a document's staged chunks in, in place of those that are published.
-- Returns {"state": ..., "etag": ...}: published; newer (a newer version is there, nothing was replaced);
-- same_second (see above); incomplete (not all chunks are staged). Calling it again does no harm.
create or replace function public.publish___TABLE__(
  p_publication uuid, p_document_set text, p_filename text, p_chunks integer,
  p_source text, p_last_modified timestamptz, p_etag text, p_supersedes_etag text default null
) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, public, extensions, pg_temp
set statement_timeout = '300s'
as $$
declare
  published public.__TABLE___versions%rowtype;
  verdict text;
begin
  perform pg_advisory_xact_lock(
    hashtextextended(concat_ws(E'\x1f', '__TABLE__', p_document_set, p_filename), 0));

  select * into published from __TABLE___versions
    where document_set = p_document_set and filename = p_filename;
  if published.publication = p_publication then
    return jsonb_build_object('state', 'published', 'etag', p_etag);  -- the first answer was lost
  end if;

  verdict := __TABLE___version_verdict(
    published.source, published.last_modified, published.etag,
    p_source, p_last_modified, p_etag, p_supersedes_etag);
  if verdict = 'newer' then
    delete from __TABLE___staging where publication = p_publication;
  end if;
  if verdict <> 'publish' then
    return jsonb_build_object('state', verdict, 'etag', published.etag);
  end if;
  if p_chunks < 1
      or (select count(*) from __TABLE___staging where publication = p_publication) <> p_chunks then
    return jsonb_build_object('state', 'incomplete', 'etag', published.etag);
  end if;

  delete from __TABLE__ where document_set = p_document_set and filename = p_filename;
  insert into __TABLE__ (id, vector, filename, document_set, content, metadata, created_at)
    select gen_random_uuid(), vector, p_filename, p_document_set, content, metadata, now()
    from __TABLE___staging where publication = p_publication order by position;
  insert into __TABLE___versions
    (document_set, filename, source, last_modified, etag, publication, chunks, published_at)
    values (p_document_set, p_filename, p_source, p_last_modified, p_etag, p_publication, p_chunks, now())
    on conflict (document_set, filename) do update set
      source = excluded.source, last_modified = excluded.last_modified, etag = excluded.etag,
      publication = excluded.publication, chunks = excluded.chunks, published_at = excluded.published_at;

  delete from __TABLE___staging where publication = p_publication;
  -- What a killed worker left. Rows that another publication is just deleting are skipped, not waited for.
  delete from __TABLE___staging where (publication, position) in (
    select publication, position from __TABLE___staging
    where staged_at < now() - interval '1 day' limit 10000 for update skip locked);
  return jsonb_build_object('state', 'published', 'etag', p_etag);
end
$$;

-- The same for a summary. Filenames are unique here, whatever the document set.
create or replace function public.publish_summary(
  p_document_set text, p_filename text, p_summary_text text, p_metadata jsonb,
  p_source text, p_last_modified timestamptz, p_etag text, p_supersedes_etag text default null
) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, public, extensions, pg_temp
as $$
declare
  published public.summaries%rowtype;
  verdict text;
begin
  perform pg_advisory_xact_lock(hashtextextended(concat_ws(E'\x1f', 'summaries', p_filename), 0));

  select * into published from summaries where filename = p_filename;
  verdict := __TABLE___version_verdict(
    published.source, published.last_modified, published.etag,
    p_source, p_last_modified, p_etag, p_supersedes_etag);
  if verdict <> 'publish' then
    return jsonb_build_object('state', verdict, 'etag', published.etag);
  end if;

  insert into summaries (filename, summary_text, document_set, metadata, source, last_modified, etag)
    values (p_filename, p_summary_text, p_document_set, p_metadata, p_source, p_last_modified, p_etag)
    on conflict (filename) do update set
      summary_text = excluded.summary_text, document_set = excluded.document_set,
      metadata = excluded.metadata, source = excluded.source, last_modified = excluded.last_modified,
      etag = excluded.etag, updated_at = now();
  return jsonb_build_object('state', 'published', 'etag', p_etag);
end
$$;

-- Rights ------------------------------------------------------------------------------------------------
-- The role of SUPABASE_KEY stages and publishes; documents change through the functions alone. It may read
-- and delete them, as a backend with the same key does. Supabase's own service_role has more by default.

alter table public.__TABLE___staging enable row level security;
alter table public.__TABLE___versions enable row level security;

drop policy if exists dayfly_worker on public.__TABLE__;
create policy dayfly_worker on public.__TABLE__ to __ROLE__ using (true);
drop policy if exists dayfly_worker on public.__TABLE___staging;
create policy dayfly_worker on public.__TABLE___staging to __ROLE__ using (true) with check (true);
drop policy if exists dayfly_worker on public.__TABLE___versions;
create policy dayfly_worker on public.__TABLE___versions for select to __ROLE__ using (true);
drop policy if exists dayfly_worker on public.summaries;
create policy dayfly_worker on public.summaries to __ROLE__ using (true);

grant usage on schema public to __ROLE__;
grant select, delete on public.__TABLE__, public.summaries to __ROLE__;
grant select, insert, update, delete on public.__TABLE___staging to __ROLE__;
grant select on public.__TABLE___versions to __ROLE__;

do $$
declare
  public_role text;
  thing text;
begin
  foreach thing in array array[
    'publish___TABLE__(uuid, text, text, integer, text, timestamptz, text, text)',
    'publish_summary(text, text, text, jsonb, text, timestamptz, text, text)',
    '__TABLE___version_verdict(text, timestamptz, text, text, timestamptz, text, text)'
  ] loop
    execute format('revoke all on function public.%s from public', thing);
    execute format('grant execute on function public.%s to __ROLE__', thing);
    -- Supabase grants new functions to the roles of its public key.
    for public_role in select rolname from pg_roles where rolname in ('anon', 'authenticated') loop
      execute format('revoke all on function public.%s from %I', thing, public_role);
    end loop;
  end loop;
  foreach thing in array array['__TABLE___staging', '__TABLE___versions'] loop
    for public_role in select rolname from pg_roles where rolname in ('anon', 'authenticated') loop
      execute format('revoke all on public.%s from %I', thing, public_role);
    end loop;
  end loop;
  if exists (select from pg_namespace where nspname = 'extensions') then
    grant usage on schema extensions to __ROLE__;
  end if;
  if exists (select from pg_roles where rolname = 'authenticator') then
    grant __ROLE__ to authenticator;
  end if;
end
$$;

notify pgrst, 'reload schema';
commit;
